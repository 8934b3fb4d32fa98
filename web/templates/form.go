package templates

import (
	"slices"
	"strconv"

	"github.com/a-h/templ"
)

// fieldAttrs are the attributes that every kind of field shares.
func fieldAttrs(f FieldView) templ.OrderedAttributes {
	a := templ.OrderedAttributes{}
	add := func(key string, value any) {
		a = append(a, templ.KV[string, any](key, value))
	}
	text := func(key, value string) {
		if value != "" {
			add(key, value)
		}
	}
	text("id", f.ID)
	text("name", f.Name)
	text("form", f.Form)
	text("autocomplete", f.Autocomplete)
	text("placeholder", f.Placeholder)
	text("inputmode", f.InputMode)
	text("pattern", f.Pattern)
	text("min", f.Min)
	text("max", f.Max)
	text("step", f.Step)
	if f.MaxLength > 0 {
		add("maxlength", strconv.Itoa(f.MaxLength))
	}
	add("required", f.Required)
	add("disabled", f.Disabled)
	add("readonly", f.ReadOnly)
	add("autofocus", f.Autofocus)
	return append(a, groupAttrs(f)...)
}

// groupAttrs tie a field or a group of them to its hint and error.
func groupAttrs(f FieldView) templ.OrderedAttributes {
	a := templ.OrderedAttributes{}
	by := ""
	if f.Hint != "" {
		by = f.ID + "-hint"
	}
	if f.Error != "" {
		if by != "" {
			by += " "
		}
		by += f.ID + "-error"
		a = append(a, templ.KV[string, any]("aria-invalid", "true"))
	}
	if by != "" {
		a = append(a, templ.KV[string, any]("aria-describedby", by))
	}
	return a
}

func valueOr(v, otherwise string) string {
	if v == "" {
		return otherwise
	}
	return v
}

func dateField(f FieldView) FieldView {
	f.Type = valueOr(f.Type, "date")
	if f.Hint == "" {
		f.Hint = "Days begin at 00:00 UTC."
	}
	return f
}

func contains(list []string, s string) bool { return slices.Contains(list, s) }

// wrong counts the fields with an error.
func wrong(fields []FieldView) int {
	n := 0
	for _, f := range fields {
		if f.Error != "" {
			n++
		}
	}
	return n
}

func summaryTitle(n int) string {
	if n == 1 {
		return "One field needs your attention."
	}
	return Plural(n, "field needs", "fields need") + " your attention."
}
