package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sightline/internal/services"
	"sightline/web/templates"
)

// formValue names the field of a variable, in a form and in an address.
const formValue = "v-"

// forWhom names those who have a role or more.
func forWhom(role services.Role) string {
	switch role {
	case services.Viewer:
		return "every member"
	case services.Support:
		return "support and above"
	case services.Admin:
		return "admins and owners"
	}
	return "owners"
}

// queryForms handles GET /graphql/forms: those that the member may use.
func (a *app) queryForms(w http.ResponseWriter, r *http.Request) error {
	rows, err := a.GraphQL.Forms(r.Context(), actorOf(r))
	if err != nil {
		return err
	}
	v := templates.QueryFormsView{Now: a.now(), BackURL: orgPath(r, "graphql"), SavedURL: orgPath(r, "graphql/saved")}
	for _, f := range rows {
		v.Rows = append(v.Rows, formItem(r, f))
	}
	return a.page(w, r, http.StatusOK, "Forms", "graphql", templates.QueryForms(v))
}

func formItem(r *http.Request, f services.QueryForm) templates.QueryFormItem {
	return templates.QueryFormItem{Href: orgPath(r, "graphql/forms/%d", f.ID), Title: f.Title, Help: f.Help, Role: forWhom(f.Role), Publisher: f.Publisher, UpdatedAt: f.UpdatedAt}
}

// queryForm handles GET /graphql/forms/{id}: ?run= shows a run of its query with
// its answer, v-name= begins with a value.
func (a *app) queryForm(w http.ResponseWriter, r *http.Request) error {
	f, err := a.GraphQL.Form(r.Context(), orgOf(r), services.QueryFormID(idParam(r, "id")))
	if err != nil {
		return err
	}
	q := r.URL.Query()
	typed := map[string]string{}
	for _, field := range f.Fields {
		typed[field.Name] = field.Value
		if given, ok := q[formValue+field.Name]; ok {
			typed[field.Name] = given[0]
		}
	}
	id := services.GraphQLRunID(idOf(q.Get("run")))
	if id == 0 {
		return a.queryFormPage(w, r, http.StatusOK, f, typed, nil, nil)
	}
	run, err := a.GraphQL.Get(r.Context(), orgOf(r), id)
	if err == nil && run.Saved != f.Saved.ID {
		err = &services.Error{Kind: services.NotFound, Msg: "This run is not one of this form."}
	}
	if err != nil {
		return err
	}
	if wantsPart(r) {
		return a.runStatus(w, r, a.formRunView(r, f, run))
	}
	return a.queryFormPage(w, r, http.StatusOK, f, f.Typed(run), nil, &run)
}

// askForm handles POST /graphql/forms/{id}.
func (a *app) askForm(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	id := services.QueryFormID(idParam(r, "id"))
	typed := map[string]string{}
	for name, values := range r.PostForm {
		if name, ok := strings.CutPrefix(name, formValue); ok {
			typed[name] = newlines(values[0])
		}
	}
	run, problems, err := a.GraphQL.AskForm(r.Context(), actorOf(r), id, typed, r.PostForm.Get("token"))
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		f, err := a.GraphQL.Form(r.Context(), orgOf(r), id)
		if err != nil {
			return err
		}
		return a.queryFormPage(w, r, http.StatusUnprocessableEntity, f, typed, problems, nil)
	}
	if _, err := a.GraphQL.Wait(r.Context(), orgOf(r), run.ID, waitForVendor); err != nil {
		return err
	}
	return a.redirect(w, r, orgPath(r, "graphql/forms/%d?run=%d", id, run.ID), "", "")
}

func (a *app) queryFormPage(w http.ResponseWriter, r *http.Request, status int, f services.QueryForm, typed map[string]string, problems services.Problems, run *services.GraphQLRun) error {
	here := orgPath(r, "graphql/forms/%d", f.ID)
	v := templates.QueryFormView{
		Now: a.now(), Title: f.Title, Help: f.Help, Action: here, ListURL: orgPath(r, "graphql/forms"), Share: a.absolute(r, here),
		Hidden: []templates.HiddenView{{Name: "token", Value: services.NewFormToken()}}, Broken: f.Broken, Disabled: f.WhyNot(actorOf(r).Role),
	}
	if may(r, services.Support) {
		v.EditURL = orgPath(r, "graphql/saved/%d", f.Saved.ID)
	}
	for _, field := range f.Fields {
		if !field.Fixed {
			v.Fields = append(v.Fields, formInput(field, typed[field.Name], problems[field.Name]))
		}
	}
	if run != nil {
		view := a.formRunView(r, f, *run)
		if !view.Open {
			if err := a.addAnswer(r, &view, *run, answerPlace{path: here, keep: []templates.HiddenView{{Name: "run", Value: view.ID}}}); err != nil {
				return err
			}
		}
		v.Run, v.Share = &view, a.absolute(r, here+withValues(f, typed))
	}
	asked, err := a.GraphQL.Asked(r.Context(), actorOf(r), f, 5)
	if err != nil {
		return err
	}
	names, err := a.connectionNames(r)
	if err != nil {
		return err
	}
	for _, row := range asked {
		item := runItem(r, row, names)
		item.Href, item.Name = here+fmt.Sprintf("?run=%d", row.ID), valuesText(f, row)
		v.Asked = append(v.Asked, item)
	}
	return a.page(w, r, status, f.Title, "graphql", templates.QueryForm(v))
}

// formRunView is a run on the page of the form that asked it.
func (a *app) formRunView(r *http.Request, f services.QueryForm, run services.GraphQLRun) templates.GraphQLRunView {
	v := a.runView(r, run)
	v.HereURL = orgPath(r, "graphql/forms/%d?run=%d", f.ID, run.ID)
	return v
}

// withValues is what stands behind a form's address to begin with values.
func withValues(f services.QueryForm, typed map[string]string) string {
	q := url.Values{}
	for _, field := range f.Fields {
		if text := typed[field.Name]; !field.Fixed && text != field.Value {
			q.Set(formValue+field.Name, text)
		}
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// valuesText says in a line what a run was asked with.
func valuesText(f services.QueryForm, run services.GraphQLRun) string {
	typed := f.Typed(run)
	var parts []string
	for _, field := range f.Fields {
		if text := strings.Join(strings.Fields(typed[field.Name]), " "); text != "" && !field.Fixed {
			parts = append(parts, field.Label+": "+shortened(text, 40))
		}
	}
	return orText(shortened(strings.Join(parts, ", "), 100), "Asked with nothing filled in")
}

func shortened(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// formInput is a variable as a form asks for it.
func formInput(f services.FormField, value, problem string) templates.QueryInputView {
	id := formValue + f.Name
	v := templates.QueryInputView{FieldView: templates.FieldView{ID: id, Name: id, Label: f.Label, Value: value, Hint: inputHint(f), Error: problem, Required: f.Required}}
	v.Choices, v.Rows = inputKind(f, &v.FieldView)
	return v
}

// inputHint is what the publisher says of a field, then what the query and the
// schema say.
func inputHint(f services.FormField) string {
	hints := []string{}
	if f.Note != "" {
		hints = append(hints, sentence(f.Note))
	} else if f.Help != "" {
		hints = append(hints, sentence(shortened(f.Help, 200)))
	}
	switch f.Input {
	case services.InputLines:
		hints = append(hints, "One on each line.")
	case services.InputJSON:
		hints = append(hints, "JSON, of the type "+f.Type+".")
	case services.InputNumber:
		hints = append(hints, "A whole number.")
	case services.InputDecimal:
		hints = append(hints, "A number.")
	}
	if f.HasDefault {
		hints = append(hints, "Empty means "+f.Default+".")
	}
	return strings.Join(hints, " ")
}

// sentence ends a text with a stop, so that another may follow.
func sentence(s string) string {
	if strings.ContainsAny(s[len(s)-1:], ".!?:") || strings.HasSuffix(s, "…") {
		return s
	}
	return s + "."
}

// inputKind chooses how a variable is typed in.
func inputKind(f services.FormField, v *templates.FieldView) (choices []templates.OptionView, rows int) {
	choice := func(values ...templates.OptionView) []templates.OptionView {
		empty := templates.OptionView{Label: "–"}
		if f.Required {
			empty.Label = "Choose one"
		}
		return append([]templates.OptionView{empty}, values...)
	}
	switch f.Input {
	case services.InputSwitch:
		return choice(templates.OptionView{Value: "true", Label: "Yes"}, templates.OptionView{Value: "false", Label: "No"}), 0
	case services.InputChoice:
		for _, c := range f.Choices {
			choices = append(choices, templates.OptionView{Value: c, Label: c})
		}
		return choice(choices...), 0
	case services.InputNumber:
		v.InputMode = "numeric"
	case services.InputDecimal:
		v.InputMode = "decimal"
	case services.InputLines:
		return nil, 4
	case services.InputJSON:
		v.Mono = true
		return nil, 5
	}
	if strings.Contains(v.Value, "\n") {
		return nil, 4
	}
	return nil, 0
}

// publishForm handles GET /graphql/saved/{id}/form.
func (a *app) publishForm(w http.ResponseWriter, r *http.Request) error {
	f, err := a.GraphQL.FormOf(r.Context(), orgOf(r), services.SavedQueryID(idParam(r, "id")))
	if err != nil {
		return err
	}
	return a.publishPage(w, r, http.StatusOK, f, nil)
}

// postForm handles POST /graphql/saved/{id}/form.
func (a *app) postForm(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	f, err := a.GraphQL.FormOf(r.Context(), orgOf(r), services.SavedQueryID(idParam(r, "id")))
	if err != nil {
		return err
	}
	p := r.PostForm
	f.Title, f.Help, f.Role = p.Get("title"), newlines(p.Get("help")), services.ParseRole(p.Get("role"))
	for i := range f.Fields {
		v := &f.Fields[i]
		v.Label, v.Note, v.Value, v.Fixed = p.Get("label-"+v.Name), newlines(p.Get("note-"+v.Name)), newlines(p.Get("value-"+v.Name)), p.Get("fixed-"+v.Name) != ""
	}
	saved, problems, err := a.GraphQL.Publish(r.Context(), actorOf(r), f)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return a.publishPage(w, r, http.StatusUnprocessableEntity, f, problems)
	}
	return a.redirect(w, r, orgPath(r, "graphql/forms/%d", saved.ID), "success", fmt.Sprintf("The form is published for %s. Copy its link to pass it on.", forWhom(saved.Role)))
}

func (a *app) publishPage(w http.ResponseWriter, r *http.Request, status int, f services.QueryForm, problems services.Problems) error {
	back := orgPath(r, "graphql/saved/%d", f.Saved.ID)
	v := templates.PublishView{
		Name: f.Saved.Name, BackURL: back, Action: back + "/form", Published: f.ID != 0, Broken: orText(f.Broken, problems["query"]),
		Title: templates.FieldView{ID: "title", Name: "title", Label: "Title", Value: f.Title, Required: true, MaxLength: services.MaxFormTitle, Error: problems["title"]},
		Help:  templates.FieldView{ID: "help", Name: "help", Label: "What it is for", Value: f.Help, Error: problems["help"], Hint: "Shown above the fields."},
		Role:  templates.FieldView{ID: "role", Name: "role", Label: "Who may ask", Value: f.Role.String(), Required: true, Error: problems["role"], Hint: "Each time costs one call, and stands in the history under the name of whoever asked."},
	}
	for _, role := range []services.Role{services.Viewer, services.Support, services.Admin, services.Owner} {
		who := forWhom(role)
		v.Roles = append(v.Roles, templates.OptionView{Value: role.String(), Label: strings.ToUpper(who[:1]) + who[1:]})
	}
	for _, field := range f.Fields {
		part := templates.PublishFieldView{
			Name: field.Name, Type: field.Type, Doc: shortened(field.Help, 300), IsFixed: field.Fixed,
			Label: templates.FieldView{ID: "label-" + field.Name, Name: "label-" + field.Name, Label: "Label", Value: field.Label, MaxLength: services.MaxFormLabel, Error: problems["label-"+field.Name]},
			Note:  templates.FieldView{ID: "note-" + field.Name, Name: "note-" + field.Name, Label: "Help", Value: field.Note, MaxLength: services.MaxFieldHelp, Error: problems["note-"+field.Name]},
			Value: templates.FieldView{ID: "value-" + field.Name, Name: "value-" + field.Name, Label: "Begins with", Value: field.Value, Error: problems["value-"+field.Name]},
			Fixed: templates.FieldView{ID: "fixed-" + field.Name, Name: "fixed-" + field.Name, Label: "Do not ask: always send this value"},
		}
		if field.HasDefault {
			part.Value.Hint = "Empty means " + field.Default + "."
		}
		part.Choices, part.Rows = inputKind(field, &part.Value)
		v.Fields = append(v.Fields, part)
	}
	return a.page(w, r, status, "Publish as a form", "graphql", templates.Publish(v))
}

// withdrawForm handles POST /graphql/saved/{id}/form/withdraw.
func (a *app) withdrawForm(w http.ResponseWriter, r *http.Request) error {
	id := services.SavedQueryID(idParam(r, "id"))
	if err := a.GraphQL.Withdraw(r.Context(), actorOf(r), id); err != nil {
		return err
	}
	return a.redirect(w, r, orgPath(r, "graphql/saved/%d", id), "success", "The form is not there any more. The saved query stays.")
}

// savedQuery handles GET /graphql/saved/{id}.
func (a *app) savedQuery(w http.ResponseWriter, r *http.Request) error {
	f, err := a.GraphQL.FormOf(r.Context(), orgOf(r), services.SavedQueryID(idParam(r, "id")))
	if err != nil {
		return err
	}
	names, err := a.connectionNames(r)
	if err != nil {
		return err
	}
	q := f.Saved
	here := orgPath(r, "graphql/saved/%d", q.ID)
	v := templates.SavedQueryView{
		Now: a.now(), Name: q.Name, Description: q.Description, ListURL: orgPath(r, "graphql/saved"), EditURL: orgPath(r, "graphql?saved=%d", q.ID), Query: q.Query, Variables: q.Variables,
		Facts: []templates.DefView{
			{Term: "Connection", Text: names[q.Connection]}, {Term: "Operation", Text: orText(q.Operation, "the only one")}, {Term: "Kept by", Text: orText(q.OwnerName, "somebody who left")},
			{Term: "Changed", Content: templates.Time(q.UpdatedAt)},
		},
	}
	if f.ID != 0 {
		item := formItem(r, f)
		v.Form = &item
	}
	schedules, err := a.GraphQL.Schedules(r.Context(), orgOf(r))
	if err != nil {
		return err
	}
	v.Schedules = scheduleItems(r, slices.DeleteFunc(schedules, func(s services.QuerySchedule) bool { return s.Saved != q.ID }))
	if may(r, services.Support) {
		v.ScheduleURL = here + "/schedule"
		v.PublishURL, v.WithdrawURL = here+"/form", here+"/form/withdraw"
	}
	if mayDeleteQuery(r, q) {
		v.DeleteURL = here + "/delete"
	}
	return a.page(w, r, http.StatusOK, q.Name, "graphql", templates.SavedQuery(v))
}

func mayDeleteQuery(r *http.Request, q services.SavedQuery) bool {
	return may(r, services.Support) && q.Owner == actorOf(r).User || may(r, services.Admin)
}
