package handlers

import (
	"fmt"
	"net/http"
	"strings"

	"sightline/internal/services"
	"sightline/web/templates"
)

// bulkColumns handles GET /traits/bulk/{id}/columns: what the columns mean.
func (a *app) bulkColumns(w http.ResponseWriter, r *http.Request) error {
	b, err := a.bulkOf(r)
	if err != nil {
		return err
	}
	if b.UndoOf != 0 || b.State != services.BulkUploaded && b.State != services.BulkPlanned {
		http.Redirect(w, r, bulkPath(r, b.ID), http.StatusSeeOther)
		return nil
	}
	keys, err := a.Traits.Keys(r.Context(), orgOf(r), b.Connection)
	if err != nil {
		return err
	}
	m := b.Mapping
	if len(m.Columns) != b.Format.Columns {
		m = b.Guess(keys)
	}
	return a.columnsPage(w, r, http.StatusOK, b, m, nil)
}

// planBulk handles POST /traits/bulk/{id}/columns: a dry run, or the file read
// another way.
func (a *app) planBulk(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	b, err := a.bulkOf(r)
	if err != nil {
		return err
	}
	f := r.PostForm
	m := services.BulkMapping{RemoveBlank: f.Get("blank") == "remove", Formulas: f.Get("formulas") != ""}
	for i := range b.Format.Columns {
		m.Columns = append(m.Columns, services.BulkColumn{Means: f.Get(services.ColumnField(i)), Key: strings.TrimSpace(f.Get(services.KeyField(i)))})
	}
	encoding, separator, header := f.Get("encoding"), separatorOf(f.Get("separator")), f.Get("header") != ""
	if encoding != "" && (encoding != b.Format.Encoding || separator != b.Format.Separator || header != b.Format.Header) {
		had := b.Format
		if b, err = a.Bulks.Reread(r.Context(), actorOf(r), b.ID, encoding, separator, header); err != nil {
			return err
		}
		if b.Format.Columns != had.Columns || header != had.Header {
			keys, err := a.Traits.Keys(r.Context(), orgOf(r), b.Connection)
			if err != nil {
				return err
			}
			m.Columns = b.Guess(keys).Columns
			return a.columnsPage(w, r, http.StatusOK, b, m, nil)
		}
	}
	if f.Get("step") == "reread" {
		return a.columnsPage(w, r, http.StatusOK, b, m, nil)
	}
	planned, problems, err := a.Bulks.Plan(r.Context(), actorOf(r), b.ID, m)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return a.columnsPage(w, r, http.StatusUnprocessableEntity, b, m, problems)
	}
	if _, err := a.Bulks.Wait(r.Context(), orgOf(r), planned.ID, waitForVendor); err != nil {
		return err
	}
	return a.redirect(w, r, bulkPath(r, b.ID), "", "")
}

// separatorOf reads a separator from a form, where a tab has a name.
func separatorOf(s string) string {
	if s == "tab" {
		return "\t"
	}
	return s
}

func separatorName(s string) string {
	switch s {
	case ",":
		return "comma"
	case ";":
		return "semicolon"
	case "\t":
		return "tab"
	}
	return "bar (|)"
}

func encodingOptions() []templates.OptionView {
	return []templates.OptionView{
		{Value: services.EncodingUTF8, Label: "UTF-8"},
		{Value: services.EncodingUTF8BOM, Label: "UTF-8 with a byte order mark"},
		{Value: services.EncodingUTF16LE, Label: "UTF-16, little endian"},
		{Value: services.EncodingUTF16BE, Label: "UTF-16, big endian"},
		{Value: services.Encoding1252, Label: "Windows-1252 (Western European)"},
	}
}

func labelOf(options []templates.OptionView, value string) string {
	for _, o := range options {
		if o.Value == value {
			return o.Label
		}
	}
	return value
}

func (a *app) columnsPage(w http.ResponseWriter, r *http.Request, status int, b services.Bulk, m services.BulkMapping, problems services.Problems) error {
	names, err := a.connectionNames(r)
	if err != nil {
		return err
	}
	keys, err := a.Traits.Keys(r.Context(), orgOf(r), b.Connection)
	if err != nil {
		return err
	}
	here, f := bulkPath(r, b.ID), b.Format
	v := templates.BulkColumnsView{
		BackURL: orgPath(r, "traits/bulk"), Title: bulkTitle(b), Connection: names[b.Connection], Action: here + "/columns", CancelAction: here + "/cancel",
		Facts:     columnFacts(b),
		Encoding:  templates.FieldView{ID: "bulk-encoding", Name: "encoding", Label: "Encoding", Value: f.Encoding, Required: true},
		Separator: templates.FieldView{ID: "bulk-separator", Name: "separator", Label: "Separator", Value: f.Separator, Required: true},
		Encodings: encodingOptions(),
		Header:    templates.FieldView{ID: "bulk-header", Name: "header", Label: "The first line names the columns"}, HasHeader: f.Header,
		Meanings: []templates.OptionView{
			{Value: services.ColumnIgnored, Label: "Ignored"}, {Value: services.ColumnID, Label: "User id"}, {Value: services.ColumnIDEmail, Label: "Email that leads to a user id"},
			{Value: services.ColumnTrait, Label: "Sets a trait"}, {Value: services.ColumnName, Label: "Sets the name"}, {Value: services.ColumnEmail, Label: "Sets the email"},
		},
		Blank:    templates.FieldView{ID: "bulk-blank", Name: "blank", Label: "Blank cells", Value: "leave", Required: true},
		Formulas: templates.FieldView{ID: "bulk-formulas", Name: "formulas", Label: "Send cells that look like a formula (=…, +…, -…, @…), as text", Hint: "Otherwise their lines are faults: somebody who opens LogRocket's data in a spreadsheet later might run them."}, SendFormulas: m.Formulas,
		Problem: problems["columns"],
	}
	if v.Problem == "" && b.State == services.BulkUploaded {
		v.Problem = b.Message // the last dry run broke
	}
	if m.RemoveBlank {
		v.Blank.Value = "remove"
	}
	v.Notice = formatNotice(f)
	v.Separators, v.Separator.Value = separatorOptions(), separatorValue(f.Separator)
	for i := range f.Columns {
		c := columnView(f, m, i, problems)
		c.Key.Suggest = keys
		v.Columns = append(v.Columns, c)
	}
	return a.page(w, r, status, "Bulk edit of traits", "customers", templates.BulkColumns(v))
}

func columnFacts(b services.Bulk) string {
	head := "The first line seems to name the columns."
	if !b.Format.Header {
		head = "The first line seems to be data already."
	}
	return templates.FormatBytes(b.Bytes) + ", " + formatFacts(b.Format) + " " + head
}

// formatFacts says how a file is written.
func formatFacts(f services.BulkFormat) string {
	ends := map[string]string{"LF": "lines that end as on Unix", "CRLF": "lines that end as on Windows", "CR": "lines that end as on an old Mac", "mixed": "lines that end in several ways"}[f.LineEnds]
	return fmt.Sprintf("%s, %s between cells, %s, %s.", labelOf(encodingOptions(), f.Encoding), separatorName(f.Separator), ends, templates.Plural(f.Columns, "column", "columns"))
}

// formatNotice says what was only guessed of how a file is written, or does not
// fit; empty if nothing.
func formatNotice(f services.BulkFormat) string {
	if f.Guessed && f.Encoding == services.Encoding1252 {
		return "The file is not UTF-8, and nothing in it says what else it is. Windows-1252 is what such files mostly are: look at the cells below, and choose another encoding if letters are wrong."
	}
	if !f.Valid && (f.Encoding == services.EncodingUTF8 || f.Encoding == services.EncodingUTF8BOM) {
		return "The file holds bytes that are not UTF-8. The lines that hold them will be faults."
	}
	return ""
}

func separatorOptions() []templates.OptionView {
	var out []templates.OptionView
	for _, s := range []string{",", ";", "\t", "|"} {
		out = append(out, templates.OptionView{Value: separatorValue(s), Label: separatorName(s)})
	}
	return out
}

// separatorValue is the reverse of separatorOf.
func separatorValue(s string) string {
	if s == "\t" {
		return "tab"
	}
	return s
}

func columnView(f services.BulkFormat, m services.BulkMapping, i int, problems services.Problems) templates.BulkColumnView {
	name := fmt.Sprintf("Column %d", i+1)
	rows := f.Sample
	if f.Header && len(rows) > 0 {
		if h := strings.TrimSpace(rows[0][i]); h != "" {
			name = h
		}
		rows = rows[1:]
	}
	c := templates.BulkColumnView{Heading: name}
	for _, row := range rows[:min(3, len(rows))] {
		if i < len(row) {
			c.Examples = append(c.Examples, row[i])
		}
	}
	means, key := services.ColumnField(i), services.KeyField(i)
	c.Means = templates.FieldView{ID: means, Name: means, Label: "Meaning of " + name, HideLabel: true, Value: m.Columns[i].Means, Error: problems[means]}
	c.Key = templates.FieldView{ID: key, Name: key, Label: "Trait that " + name + " sets", HideLabel: true, Value: m.Columns[i].Key, Error: problems[key], Autocomplete: "off", Placeholder: "only for a trait"}
	return c
}
