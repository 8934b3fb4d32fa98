package handlers

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"

	"sightline/internal/services"
	"sightline/web/templates"
)

// viewHref is the explorer with a saved view open.
func viewHref(r *http.Request, view services.View) string {
	v, err := url.ParseQuery(view.Query)
	if err != nil {
		v = url.Values{}
	}
	if view.Columns != "" {
		v.Set("columns", view.Columns)
	}
	v.Set("view", fmt.Sprint(view.ID))
	return orgPath(r, "sessions?%s", v.Encode())
}

// canShare says whether the member may save views for the organization.
func canShare(r *http.Request) bool { return services.MayShareViews(memberOf(r).at.Role) }

// fillViews adds the menu of views and the form that saves this one.
func (a *app) fillViews(r *http.Request, f sessionForm, views []services.View, v *templates.SessionsView) {
	query, columns := f.values().Encode(), f.columnText()
	v.ViewsHref = orgPath(r, "sessions/views")
	v.Save = templates.SaveViewView{
		Action: v.ViewsHref, Query: query, Columns: columns, CanShare: canShare(r),
		Name: templates.FieldView{ID: "view-name", Name: "name", Label: "Name", Required: true, MaxLength: services.MaxViewName, Autocomplete: "off"},
	}
	for _, view := range views {
		row := viewRow(r, view)
		if view.ID == f.view {
			row.Open = true
			v.ViewName = view.Name
			if stored, err := url.ParseQuery(view.Query); err == nil && (stored.Encode() != query || view.Columns != columns) {
				v.ViewChanged = true
				if view.Editable && !v.Wrong {
					v.UpdateAction = orgPath(r, "sessions/views/%d", view.ID)
				}
				v.ViewAgainHref = row.Href
			}
		}
		if view.Shared {
			v.OrgViews = append(v.OrgViews, row)
		} else {
			v.MyViews = append(v.MyViews, row)
		}
	}
}

func viewRow(r *http.Request, view services.View) templates.ViewRow {
	row := templates.ViewRow{
		ID: fmt.Sprint(view.ID), Name: view.Name, Href: viewHref(r, view), Owner: view.OwnerName, Shared: view.Shared, Default: view.Default, Editable: view.Editable,
		RenameAction: orgPath(r, "sessions/views/%d/name", view.ID), DefaultAction: orgPath(r, "sessions/views/%d/default", view.ID),
		DeleteAction: orgPath(r, "sessions/views/%d/delete", view.ID),
		Rename:       templates.FieldView{ID: "name-" + fmt.Sprint(view.ID), Name: "name", Label: "New name of " + view.Name, HideLabel: true, Value: view.Name, Required: true, MaxLength: services.MaxViewName, Autocomplete: "off"},
	}
	if may(r, services.Support) {
		row.AskHref = orgPath(r, "highlights/batches/new?view=%d", view.ID)
	}
	return row
}

// showViews handles GET /sessions/views: the member's views and the
// organization's.
func (a *app) showViews(w http.ResponseWriter, r *http.Request) error {
	return a.viewsPage(w, r, http.StatusOK, 0, "", nil)
}

// viewsPage lists the views; wrong is the one whose new name has problems.
func (a *app) viewsPage(w http.ResponseWriter, r *http.Request, status int, wrong services.ViewID, name string, problems services.Problems) error {
	views, err := a.Views.List(r.Context(), actorOf(r))
	if err != nil {
		return err
	}
	v := templates.ViewsView{ExplorerHref: orgPath(r, "sessions?span=7d"), NoDefaultAction: orgPath(r, "sessions/views/0/default")}
	for _, view := range views {
		row := viewRow(r, view)
		if view.ID == wrong {
			row.Rename.Value, row.Rename.Error = name, problems["name"]
		}
		v.Views = append(v.Views, row)
	}
	return a.page(w, r, status, "Saved views", "sessions", templates.Views(v))
}

// savedForm reads the filter and the columns that a form carries, in the
// explorer's own spelling.
func (a *app) savedForm(r *http.Request) (query, columns string, err error) {
	if err := r.ParseForm(); err != nil {
		return "", "", badForm(err)
	}
	in, err := url.ParseQuery(r.PostForm.Get("query"))
	if err != nil {
		return "", "", &services.Error{Kind: services.Invalid, Msg: "The filter of this view cannot be read. Open Sessions, choose the filters again and save."}
	}
	in.Set("columns", r.PostForm.Get("columns"))
	f, _, err := a.sessionForm(r, in)
	if err != nil {
		return "", "", err
	}
	if msg := f.problems.First(); msg != "" {
		return "", "", &services.Error{Kind: services.Invalid, Msg: msg}
	}
	return f.values().Encode(), f.columnText(), nil
}

// saveView handles POST /sessions/views: the filter that is open gets a name.
func (a *app) saveView(w http.ResponseWriter, r *http.Request) error {
	query, columns, err := a.savedForm(r)
	if err != nil {
		return err
	}
	form := services.ViewForm{Name: r.PostForm.Get("name"), Shared: r.PostForm.Get("shared") == "1", Query: query, Columns: columns}
	view, problems, err := a.Views.Save(r.Context(), actorOf(r), form)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		v := templates.SaveViewView{
			Action: orgPath(r, "sessions/views"), Query: query, Columns: columns, CanShare: canShare(r), Shared: form.Shared, Default: r.PostForm.Get("default") == "1",
			Name: templates.FieldView{ID: "view-name", Name: "name", Label: "Name", Value: form.Name, Error: problems["name"], Required: true, MaxLength: services.MaxViewName, Autocomplete: "off"},
		}
		if v.Name.Error == "" {
			v.Name.Error = problems.First()
		}
		return a.page(w, r, http.StatusUnprocessableEntity, "Save this view", "sessions", templates.SaveView(v))
	}
	said := "“" + view.Name + "” is saved."
	if r.PostForm.Get("default") == "1" {
		if err := a.Views.SetDefault(r.Context(), actorOf(r), view.ID); err != nil {
			return err
		}
		said = "“" + view.Name + "” is saved, and Sessions opens with it."
	}
	return a.redirect(w, r, viewHref(r, view), "success", said)
}

// viewOf finds a view that the member sees.
func (a *app) viewOf(r *http.Request) (services.View, error) {
	return a.Views.Get(r.Context(), actorOf(r), services.ViewID(idParam(r, "id")))
}

// updateView handles POST /sessions/views/{id}: the view takes the filter and
// columns that are open.
func (a *app) updateView(w http.ResponseWriter, r *http.Request) error {
	view, err := a.viewOf(r)
	if err != nil {
		return err
	}
	query, columns, err := a.savedForm(r)
	if err != nil {
		return err
	}
	view, problems, err := a.Views.Save(r.Context(), actorOf(r), services.ViewForm{ID: view.ID, Name: view.Name, Shared: view.Shared, Query: query, Columns: columns})
	if err != nil {
		return err
	}
	if msg := problems.First(); msg != "" {
		return &services.Error{Kind: services.Invalid, Msg: msg}
	}
	return a.redirect(w, r, viewHref(r, view), "success", "“"+view.Name+"” has these filters and columns now.")
}

// renameView handles POST /sessions/views/{id}/name.
func (a *app) renameView(w http.ResponseWriter, r *http.Request) error {
	view, err := a.viewOf(r)
	if err != nil {
		return err
	}
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	name := r.PostForm.Get("name")
	problems, err := a.Views.Rename(r.Context(), actorOf(r), view.ID, name)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return a.viewsPage(w, r, http.StatusUnprocessableEntity, view.ID, name, problems)
	}
	return a.redirect(w, r, orgPath(r, "sessions/views"), "success", "The view has its new name.")
}

// defaultView handles POST /sessions/views/{id}/default; 0 is none.
func (a *app) defaultView(w http.ResponseWriter, r *http.Request) error {
	var view services.View
	if chi.URLParam(r, "id") != "0" {
		var err error
		if view, err = a.viewOf(r); err != nil {
			return err
		}
	}
	if err := a.Views.SetDefault(r.Context(), actorOf(r), view.ID); err != nil {
		return err
	}
	said := "Sessions opens with the last 7 days for you."
	if view.ID != 0 {
		said = "Sessions opens with “" + view.Name + "” for you."
	}
	return a.redirect(w, r, orgPath(r, "sessions/views"), "success", said)
}

// deleteView handles POST /sessions/views/{id}/delete.
func (a *app) deleteView(w http.ResponseWriter, r *http.Request) error {
	view, err := a.viewOf(r)
	if err != nil {
		return err
	}
	if err := a.Views.Delete(r.Context(), actorOf(r), view.ID); err != nil {
		return err
	}
	return a.redirect(w, r, orgPath(r, "sessions/views"), "success", "“"+view.Name+"” is deleted.")
}
