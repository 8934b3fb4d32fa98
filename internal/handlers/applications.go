package handlers

import (
	"net/http"

	"sightline/internal/services"
	"sightline/web/templates"
)

// listApplications asks which applications a token sees, waits a moment and
// leads to the page where one is chosen. The token stays in the database: the
// browser never gets it back.
func (a *app) listApplications(w http.ResponseWriter, r *http.Request, id services.ConnectionID) error {
	ask, err := a.Connections.AskApplications(r.Context(), actorOf(r), id)
	if err != nil {
		return err
	}
	if _, err := a.Asks.Wait(r.Context(), orgOf(r), ask.ID, waitForVendor); err != nil {
		return err
	}
	return a.redirect(w, r, connectionPath(r, id)+"/application", "", "")
}

// askApplications handles POST /settings/connections/{id}/applications.
func (a *app) askApplications(w http.ResponseWriter, r *http.Request) error {
	return a.listApplications(w, r, services.ConnectionID(idParam(r, "id")))
}

// application handles GET /settings/connections/{id}/application: the
// applications that the token sees, to choose one.
func (a *app) application(w http.ResponseWriter, r *http.Request) error {
	return a.applicationPage(w, r, http.StatusOK, "", nil)
}

func (a *app) applicationPage(w http.ResponseWriter, r *http.Request, status int, chosen string, problems services.Problems) error {
	c, err := a.Connections.Get(r.Context(), orgOf(r), services.ConnectionID(idParam(r, "id")))
	if err != nil {
		return err
	}
	here := connectionPath(r, c.ID)
	if c.Vendor != services.RaygunV3 || c.Application != "" || c.Removed() {
		http.Redirect(w, r, here, http.StatusSeeOther)
		return nil
	}
	list, ask, asked, err := a.Connections.Applications(r.Context(), c)
	if err != nil {
		return err
	}
	v := templates.ApplicationView{
		Name: c.Name, Vendor: string(c.Vendor), Action: here + "/application", ListURL: here + "/applications", BackURL: here, Now: a.now(),
		Asked: asked && ask.State == services.AskDone,
	}
	if asked {
		v.Ask = a.askPart(r, &ask, "Asking Raygun which applications the token sees", here+"/application")
		v.AskedAt = ask.FinishedAt
	}
	b, err := a.Connections.Budget(r.Context(), orgOf(r), c.ID)
	if err != nil {
		return err
	}
	v.Again = a.spendView(r, "Ask Raygun again", b)
	v.Again.Kind = templates.Secondary
	v.Choose = a.spendView(r, "Choose and test", b)
	v.Choose.Calls, v.Choose.Icon, v.Choose.Disabled = services.V3TestCalls, "plug", "" // a choice is kept although it cannot be tested yet
	v.Choice = templates.FieldView{ID: "application", Name: services.FieldApplication, Label: "Application", Value: chosen, Required: true, Error: problems[services.FieldApplication]}
	for i, app := range list {
		if i == 0 && chosen == "" && app.Sessions {
			v.Choice.Value = app.ID // those with sessions come first
		}
		v.Options = append(v.Options, templates.OptionView{Value: app.ID, Label: orText(app.Name, app.ID), Hint: applicationHint(app)})
	}
	return a.page(w, r, status, "Choose the application", "settings", templates.ApplicationPage(v))
}

func applicationHint(app services.Application) string {
	hint := app.ID
	if !app.Sessions {
		hint += " · has sent no sessions yet"
	}
	if app.Same != "" {
		hint += " · the same application as “" + app.Same + "”: a session that both tell of is shown once"
	}
	return hint
}

// chooseApplication handles POST /settings/connections/{id}/application and
// tests the connection with what was chosen.
func (a *app) chooseApplication(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	id, chosen := services.ConnectionID(idParam(r, "id")), r.PostForm.Get(services.FieldApplication)
	problems, err := a.Connections.ChooseApplication(r.Context(), actorOf(r), id, chosen)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return a.applicationPage(w, r, http.StatusUnprocessableEntity, chosen, problems)
	}
	return a.testAndShow(w, r, id, "The application was chosen.")
}
