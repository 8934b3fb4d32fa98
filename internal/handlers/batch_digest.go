package handlers

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"sightline/internal/services"
	"sightline/web/templates"
)

// shortAnswer is how much of an answer a digest shows, in bytes with its links.
const shortAnswer = 2000

// batchDigest handles GET /highlights/batches/{id}/digest.
func (a *app) batchDigest(w http.ResponseWriter, r *http.Request) error {
	b, err := a.digested(r)
	if err != nil {
		return err
	}
	here := batchPath(r, b.ID)
	v := templates.DigestView{
		ID: fmt.Sprint(b.ID), URL: here, Question: b.Question, Source: b.Source, Range: batchRange(b), Author: orText(b.AuthorName, "somebody who left"),
		Facts: batchCounts(b), StartedAt: b.StartedAt, Moving: b.Moving(), Lined: b.Lined(),
		MarkdownURL: here + "/digest.md", CSVURL: here + "/digest.csv", JSONURL: here + "/digest.json",
	}
	err = a.Batches.Digest(r.Context(), orgOf(r), b.ID, func(it services.BatchItem) error {
		item := batchItemView(r, it)
		if it.State != string(services.HighlightReady) {
			v.Without = append(v.Without, item)
			return nil
		}
		text, cut := inShort(it.Markdown)
		v.Answers = append(v.Answers, templates.AnswerView{
			Who: item.Who, Subject: it.Subject, CustomerURL: item.CustomerURL, URL: item.HighlightURL, HTML: a.markdownHTML(text), Cut: cut, AnsweredAt: it.FinishedAt,
		})
		return nil
	})
	if err != nil {
		return err
	}
	return a.page(w, r, http.StatusOK, "Digest of highlights", "highlights", templates.Digest(v))
}

// digested reads a batch that was begun; a draft has no answers.
func (a *app) digested(r *http.Request) (services.Batch, error) {
	b, err := a.batchOf(r)
	if err == nil && b.State == services.BatchDraft {
		err = &services.Error{Kind: services.Conflict, Msg: "Nobody has been asked about yet, so there is no digest. Begin the batch on its page."}
	}
	return b, err
}

// inShort is the beginning of a text, up to the end of a line where there is
// one.
func inShort(text string) (short string, cut bool) {
	text = strings.TrimSpace(text)
	if len(text) <= shortAnswer {
		return text, false
	}
	end := strings.LastIndexByte(text[:shortAnswer], '\n')
	if end < shortAnswer/3 {
		end = strings.LastIndexByte(text[:shortAnswer], ' ')
	}
	if end < shortAnswer/3 {
		for end = shortAnswer; !utf8.RuneStart(text[end]); end-- {
		}
	}
	return text[:end] + "\n\n…", true
}

// batchMarkdown handles GET /highlights/batches/{id}/digest.md.
func (a *app) batchMarkdown(w http.ResponseWriter, r *http.Request) error {
	return a.batchExport(w, r, "md", "text/markdown; charset=utf-8", a.Batches.DigestMarkdown)
}

// batchCSV handles GET /highlights/batches/{id}/digest.csv.
func (a *app) batchCSV(w http.ResponseWriter, r *http.Request) error {
	return a.batchExport(w, r, "csv", csvType, a.Batches.DigestCSV)
}

// batchJSON handles GET /highlights/batches/{id}/digest.json.
func (a *app) batchJSON(w http.ResponseWriter, r *http.Request) error {
	return a.batchExport(w, r, "json", jsonType, a.Batches.DigestJSON)
}

func (a *app) batchExport(w http.ResponseWriter, r *http.Request, ending, contentType string,
	write func(context.Context, services.OrgID, services.Batch, io.Writer, func(services.HighlightID) string) error) error {
	b, err := a.digested(r)
	if err != nil {
		return err
	}
	link := func(id services.HighlightID) string { return a.absolute(r, highlightPath(r, id)) }
	a.sendFile(w, r, fmt.Sprintf("highlights-batch-%d.%s", b.ID, ending), contentType, func(w io.Writer) error { return write(r.Context(), orgOf(r), b, w, link) })
	return nil
}
