package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/urfave/cli/v3"

	"sightline/internal/services"
)

// connectionSettings are those of the connection commands. Each reads the part
// that it declares.
type connectionSettings struct {
	storeSettings
	vendorSettings
	logSettings
	org, vendor, name, lrOrg, lrApp, application string
	sync                                         string
	apiKey, clientID, clientSecret, key, token   secretSetting
}

func newConnectionSettings() *connectionSettings {
	return &connectionSettings{
		apiKey:       secretSetting{name: "raygun-api-key", what: "the Raygun application's API key"},
		clientID:     secretSetting{name: "raygun-client-id", what: "the Raygun client id"},
		clientSecret: secretSetting{name: "raygun-client-secret", what: "the Raygun client secret"},
		key:          secretSetting{name: "logrocket-key", what: "the LogRocket API key"},
		token:        secretSetting{name: "raygun-token", what: "the Raygun personal access token"},
	}
}

// flags are those that every connection command has.
func (set *connectionSettings) flags() []cli.Flag {
	flags := append(set.storeSettings.flags("./data", "directory of the database"),
		text("org", "short name of the organization", "", &set.org))
	flags = append(flags, set.vendorSettings.flags()...)
	return append(flags, set.logSettings.flags("warn")...)
}

func (set *connectionSettings) nameFlag() cli.Flag {
	return text("name", "name of the connection", "", &set.name)
}

func connectionCommand(s stdio) *cli.Command {
	return &cli.Command{
		Name: "connection", Usage: "add, list, test and remove connections to Raygun and LogRocket", Action: needsCommand,
		Commands: []*cli.Command{connectionAddCommand(s), connectionApplicationCommand(s), connectionListCommand(s), connectionTestCommand(s), connectionRemoveCommand(s)},
	}
}

// connectionRun is what a connection command does with an organization.
type connectionRun func(ctx context.Context, st *store, actor services.Actor) error

// run checks the settings, opens the data and finds the organization.
func (set *connectionSettings) run(ctx context.Context, s stdio, p *problems, fn connectionRun) error {
	data, vendors, log := set.storeSettings.check(p, s.in), set.vendorSettings.check(p), set.logSettings.check(p, s.err)
	if set.org == "" {
		p.add("%s is missing: the short name of the organization, such as acme.", envName("org"))
	}
	if err := p.err(); err != nil {
		return err
	}
	return withStore(ctx, data, vendors, log, func(st *store) error {
		org, err := st.services.People.Organization(ctx, set.org)
		if err != nil {
			return err
		}
		return fn(ctx, st, services.CommandLine(org.ID))
	})
}

func connectionAddCommand(s stdio) *cli.Command {
	set := newConnectionSettings()
	flags := append(set.flags(), set.nameFlag(),
		text("vendor", "raygun (API v1), raygun-v3 or logrocket", "", &set.vendor),
		set.applicationFlag(),
		text("logrocket-org", "organization's part of the app's address; read off the key if not given", "", &set.lrOrg),
		text("logrocket-app", "app's part of the app's address; read off the key if not given", "", &set.lrApp),
		text("sync", "yes to keep a Raygun connection's mirror fresh within its budget, as the form on the page does", "yes", &set.sync),
		set.apiKey.flag(), set.clientID.flag(), set.clientSecret.flag(), set.key.flag(), set.token.flag(),
	)
	return &cli.Command{
		Name: "add", Usage: "store a connection; what is given by neither variable nor file is asked for, or read line by line from standard input",
		Description: "raygun wants its API key, client id and client secret, in this order; raygun-v3 its personal access token; logrocket its key.",
		Flags:       flags,
		Action: leaf(func(ctx context.Context) error {
			var p problems
			form := set.form(&p, s)
			return set.run(ctx, s, &p, func(ctx context.Context, st *store, actor services.Actor) error {
				c, faults, err := st.services.Connections.Add(ctx, actor, form)
				if err != nil {
					return err
				}
				if len(faults) > 0 {
					return usage("The connection was not stored.\n  - %s", strings.Join(describeFaults(faults), "\n  - "))
				}
				if c.Vendor == services.RaygunV3 && c.Application == "" {
					s.say("The %s connection %q was stored. It still needs an application.", c.Vendor, c.Name)
					return set.listApplications(ctx, s, st, actor, c)
				}
				s.say("The %s connection %q was stored. See whether it works: sightline connection test --org %s --name %q", c.Vendor, c.Name, set.org, c.Name)
				return nil
			})
		}),
	}
}

// form reads what Add wants. Secrets are read last and only if the rest is
// right, so that nobody types them for nothing.
func (set *connectionSettings) form(p *problems, s stdio) services.ConnectionForm {
	f := services.ConnectionForm{
		Name: set.name, Vendor: services.Vendor(strings.ReplaceAll(set.vendor, "-", "_")), OrgSlug: set.lrOrg, AppSlug: set.lrApp, Application: set.application, Sync: checkYes(p, "sync", set.sync),
	}
	f.Details = f.Sync
	if f.Name == "" {
		p.add("%s is missing: a name for the connection, such as the name of the site.", envName("name"))
	}
	wanted := map[*secretSetting]*services.Secret{}
	var order []*secretSetting
	switch f.Vendor {
	case services.Raygun:
		order = []*secretSetting{&set.apiKey, &set.clientID, &set.clientSecret}
		wanted[&set.apiKey], wanted[&set.clientID], wanted[&set.clientSecret] = &f.APIKey, &f.ClientID, &f.ClientSecret
	case services.RaygunV3:
		order = []*secretSetting{&set.token}
		wanted[&set.token] = &f.Token
	case services.LogRocket:
		order = []*secretSetting{&set.key}
		wanted[&set.key] = &f.Key
	default:
		p.add("%s must be raygun, raygun-v3 or logrocket, but is %q.", envName("vendor"), shown(set.vendor))
	}
	if f.Application != "" && f.Vendor != services.RaygunV3 {
		p.add("%s is for a connection to raygun-v3 only.", envName("application"))
	}
	if len(*p) > 0 {
		return f
	}
	for _, secret := range order {
		v := secret.read(p, s.in)
		if v.IsZero() && secret.file == "" {
			v = prompt(p, s, secret.what)
		}
		*wanted[secret] = v
	}
	return f
}

// faultFlags are the flags behind the fields of the form.
func faultFlags() map[string]string {
	return map[string]string{
		services.FieldVendor: "vendor", services.FieldName: "name", services.FieldAPIKey: "raygun-api-key",
		services.FieldClientID: "raygun-client-id", services.FieldClientSecret: "raygun-client-secret", services.FieldKey: "logrocket-key",
		services.FieldOrgSlug: "logrocket-org", services.FieldAppSlug: "logrocket-app",
		services.FieldToken: "raygun-token", services.FieldApplication: "application",
	}
}

func describeFaults(faults services.Problems) []string {
	flags := faultFlags()
	var out []string
	for _, field := range slices.Sorted(maps.Keys(faults)) {
		out = append(out, fmt.Sprintf("%s: %s", envName(flags[field]), faults[field]))
	}
	return out
}

func connectionListCommand(s stdio) *cli.Command {
	set := newConnectionSettings()
	return &cli.Command{
		Name: "list", Usage: "list an organization's connections", Flags: set.flags(),
		Action: leaf(func(ctx context.Context) error {
			var p problems
			return set.run(ctx, s, &p, func(ctx context.Context, st *store, actor services.Actor) error {
				list, err := st.services.Connections.List(ctx, actor.Org)
				if err != nil {
					return err
				}
				if len(list) == 0 {
					s.say("The organization %s has no connections. Add one with sightline connection add.", set.org)
					return nil
				}
				w := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
				_, _ = fmt.Fprintln(w, "NAME\tVENDOR\tAPP\tLAST TEST")
				for _, c := range list {
					_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.Name, c.Vendor, appOf(c), lastTest(c))
				}
				return w.Flush()
			})
		}),
	}
}

func (set *connectionSettings) applicationFlag() cli.Flag {
	return text("application", "identifier of the Raygun v3 application; without it, those that the token sees are listed", "", &set.application)
}

// listApplications writes what a token sees, and how to choose of it.
func (set *connectionSettings) listApplications(ctx context.Context, s stdio, st *store, actor services.Actor, c services.Connection) error {
	list, err := st.services.Connections.ListApplications(ctx, actor, c.ID)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("%s: the token sees no applications", c.Name)
	}
	w := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "APPLICATION\tNAME\tSESSIONS\tSAME AS")
	for _, a := range list {
		sessions, same := "none yet", "-"
		if a.Sessions {
			sessions = "yes"
		}
		if a.Same != "" {
			same = a.Same
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", printable(a.ID), printable(a.Name), sessions, same)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	s.say("Choose one: sightline connection application --org %s --name %q --application %s", set.org, c.Name, printable(list[0].ID))
	return nil
}

// printable keeps a vendor's text from moving the terminal's cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

func connectionApplicationCommand(s stdio) *cli.Command {
	set := newConnectionSettings()
	return &cli.Command{
		Name: "application", Usage: "choose the application of a Raygun v3 connection, or list those that its token sees",
		Flags: append(set.flags(), set.nameFlag(), set.applicationFlag()),
		Action: leaf(func(ctx context.Context) error {
			var p problems
			if set.name == "" {
				p.add("%s is missing: the name of the connection.", envName("name"))
			}
			return set.run(ctx, s, &p, func(ctx context.Context, st *store, actor services.Actor) error {
				c, err := connectionByName(ctx, st, actor.Org, set.name)
				if err != nil {
					return err
				}
				if set.application == "" {
					return set.listApplications(ctx, s, st, actor, c)
				}
				_, ask, known, err := st.services.Connections.Applications(ctx, c)
				if err != nil {
					return err
				}
				if !known || ask.State != services.AskDone {
					if _, err := st.services.Connections.ListApplications(ctx, actor, c.ID); err != nil {
						return err
					}
				}
				faults, err := st.services.Connections.ChooseApplication(ctx, actor, c.ID, set.application)
				if err != nil {
					return err
				}
				if len(faults) > 0 {
					return usage("The application was not chosen.\n  - %s", strings.Join(describeFaults(faults), "\n  - "))
				}
				s.say("%q is for the application %s now. See whether it works: sightline connection test --org %s --name %q", c.Name, set.application, set.org, c.Name)
				return nil
			})
		}),
	}
}

func appOf(c services.Connection) string {
	if c.Application != "" {
		return c.Application
	}
	if c.OrgSlug == "" {
		return "-"
	}
	return c.OrgSlug + "/" + c.AppSlug
}

func lastTest(c services.Connection) string {
	if c.CheckedAt.IsZero() {
		return "never"
	}
	verdict := "failed"
	if c.CheckOK {
		verdict = "ok"
	}
	return verdict + ", " + c.CheckedAt.UTC().Format(time.DateTime) + " UTC"
}

// connectionByName finds a connection in use.
func connectionByName(ctx context.Context, st *store, org services.OrgID, name string) (services.Connection, error) {
	list, err := st.services.Connections.List(ctx, org)
	if err != nil {
		return services.Connection{}, err
	}
	var names []string
	for _, c := range list {
		if c.Name == name {
			return c, nil
		}
		names = append(names, fmt.Sprintf("%q", c.Name))
	}
	if len(names) == 0 {
		return services.Connection{}, fmt.Errorf("the organization has no connections")
	}
	return services.Connection{}, fmt.Errorf("there is no connection %q; there are %s", name, strings.Join(names, ", "))
}

// connectionNamed makes a command that works on one connection.
func connectionNamed(name, about string, s stdio, fn func(ctx context.Context, st *store, actor services.Actor, c services.Connection) error) *cli.Command {
	set := newConnectionSettings()
	return &cli.Command{
		Name: name, Usage: about, Flags: append(set.flags(), set.nameFlag()),
		Action: leaf(func(ctx context.Context) error {
			var p problems
			if set.name == "" {
				p.add("%s is missing: the name of the connection.", envName("name"))
			}
			return set.run(ctx, s, &p, func(ctx context.Context, st *store, actor services.Actor) error {
				c, err := connectionByName(ctx, st, actor.Org, set.name)
				if err != nil {
					return err
				}
				return fn(ctx, st, actor, c)
			})
		}),
	}
}

func connectionTestCommand(s stdio) *cli.Command {
	return connectionNamed("test", "ask the vendor the cheapest question there is and say what it answered", s,
		func(ctx context.Context, st *store, actor services.Actor, c services.Connection) error {
			c, err := st.services.Connections.Check(ctx, actor, c.ID)
			if err != nil {
				return err
			}
			if !c.CheckOK {
				return fmt.Errorf("%s: %s", c.Name, c.CheckMessage)
			}
			s.say("%s: %s", c.Name, c.CheckMessage)
			return nil
		})
}

func connectionRemoveCommand(s stdio) *cli.Command {
	return connectionNamed("remove", "take a connection out of use and erase its secrets; what it brought stays", s,
		func(ctx context.Context, st *store, actor services.Actor, c services.Connection) error {
			if err := st.services.Connections.Remove(ctx, actor, c.ID); err != nil {
				return err
			}
			s.say("The connection %q was removed and its secrets were erased. What it brought stays.", c.Name)
			return nil
		})
}
