package handlers

import (
	"fmt"
	"html"
	"net/http"
	"strings"

	"sightline/internal/services"
	"sightline/web/templates"
)

// addResult renders what LogRocket wrote, for reading and for tickets, and what
// Raygun recorded at the moments that it links to.
func (a *app) addResult(r *http.Request, v *templates.HighlightView, h services.Highlight, parts []services.HighlightSession) error {
	links := a.Markdown.Links(h.Markdown)
	v.HTML = a.markdownHTML(h.Markdown)
	for i, p := range parts {
		v.Sessions = append(v.Sessions, templates.HighlightSessionView{
			Title: fmt.Sprintf("Recording session %d of %d", i+1, len(parts)), URL: p.URL, StartedAt: p.StartedAt, HTML: a.markdownHTML(p.Markdown),
		})
		links = append(links, a.Markdown.Links(p.Markdown)...)
	}
	if v.HTML == "" && len(parts) == 0 {
		return nil
	}
	doubts, err := a.Highlights.Doubts(r.Context(), orgOf(r), h, parts, links)
	if err != nil {
		return err
	}
	v.Doubts = doubts.Overall
	for i, d := range doubts.Parts {
		v.Sessions[i].Doubts = d
	}
	watched, err := a.Audits.WatchersOf(r.Context(), orgOf(r), parts)
	if err != nil {
		return err
	}
	for i, list := range watched {
		for _, w := range list {
			v.Sessions[i].Watched = append(v.Sessions[i].Watched, templates.WatcherView(w))
		}
	}
	v.Ticket = a.highlightTicket(r, h, *v)
	v.Beside, err = a.beside(r, h, links)
	return err
}

// markdownHTML renders a text, "" if there is none.
func (a *app) markdownHTML(src string) string {
	if strings.TrimSpace(src) == "" {
		return ""
	}
	return a.Markdown.HTML(src)
}

// highlightTicket is a result as it can be pasted elsewhere. Times are in UTC:
// nobody knows where it is read.
func (a *app) highlightTicket(r *http.Request, h services.Highlight, v templates.HighlightView) *templates.TicketView {
	var md, plain, rich strings.Builder
	title := "Highlights of " + h.Subject()
	fmt.Fprintf(&md, "### %s\n\n", a.Markdown.Escape(title))
	fmt.Fprintf(&plain, "%s\n\n", title)
	fmt.Fprintf(&rich, "<h3>%s</h3>", html.EscapeString(title))
	facts := [][2]string{{"Question", strings.Join(strings.Fields(h.Question), " ")}, {"Range", rangeText(h.Start, h.End)}, {"Asked", templates.FormatTime(h.CreatedAt) + by(h.AuthorName)}}
	for _, f := range facts {
		if f[1] == "" {
			continue
		}
		fmt.Fprintf(&md, "- %s: %s\n", f[0], a.Markdown.Escape(f[1]))
		fmt.Fprintf(&plain, "%s: %s\n", f[0], f[1])
		fmt.Fprintf(&rich, "<p>%s: %s</p>", f[0], html.EscapeString(f[1]))
	}
	here := a.absolute(r, highlightPath(r, h.ID))
	fmt.Fprintf(&md, "- Sightline: <%s>\n", here)
	fmt.Fprintf(&plain, "Sightline: %s\n", here)
	fmt.Fprintf(&rich, `<p>Sightline: <a href="%[1]s">%[1]s</a></p>`, html.EscapeString(here))
	add := func(sanitised string) {
		if sanitised == "" {
			return
		}
		fmt.Fprintf(&md, "\n%s\n", a.Markdown.Portable(sanitised))
		fmt.Fprintf(&plain, "\n%s\n", a.Markdown.Plain(sanitised))
		rich.WriteString(a.Markdown.Rich(sanitised))
	}
	add(v.HTML)
	for _, s := range v.Sessions {
		began := ""
		if !s.StartedAt.IsZero() {
			began = ", recorded " + templates.FormatTime(s.StartedAt)
		}
		fmt.Fprintf(&md, "\n### %s%s\n", s.Title, began)
		fmt.Fprintf(&plain, "\n%s%s\n", s.Title, began)
		fmt.Fprintf(&rich, "<h3>%s%s</h3>", s.Title, began)
		if s.URL != "" {
			fmt.Fprintf(&md, "\n<%s>\n", s.URL)
			fmt.Fprintf(&plain, "%s\n", s.URL)
			fmt.Fprintf(&rich, `<p><a href="%[1]s">%[1]s</a></p>`, html.EscapeString(s.URL))
		}
		add(s.HTML)
	}
	return &templates.TicketView{Markdown: md.String(), Plain: plain.String(), HTML: rich.String()}
}

func by(name string) string {
	if name == "" {
		return ""
	}
	return " by " + name
}
