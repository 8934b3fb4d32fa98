package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v3"
	"golang.org/x/term"

	"sightline/internal/services"
	"sightline/internal/services/secrets"
)

// prompt asks for a secret: on a terminal without showing it, else it is the
// next line of standard input.
func prompt(p *problems, s stdio, what string) secrets.Secret {
	if f, ok := s.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		_, _ = fmt.Fprintf(s.err, "%s: ", sentence(what))
		b, err := term.ReadPassword(int(f.Fd()))
		_, _ = fmt.Fprintln(s.err)
		if err != nil {
			p.add("%s could not be read: %v.", sentence(what), err)
		}
		return secrets.New(string(b))
	}
	line, err := readLine(s.in)
	if err != nil || line == "" {
		p.add("%s was expected on standard input, but nothing came.", sentence(what))
	}
	return secrets.New(line)
}

// adminSettings are those of the admin commands.
type adminSettings struct {
	storeSettings
	logSettings
	email, name, role, org string
	password               secretSetting
}

func adminCommand(s stdio) *cli.Command {
	return &cli.Command{
		Name: "admin", Usage: "make accounts and reset passwords", Action: needsCommand,
		Commands: []*cli.Command{adminCreateCommand(s), adminResetCommand(s)},
	}
}

func adminCreateCommand(s stdio) *cli.Command {
	set := adminSettings{password: secretSetting{name: "password", what: "the new password"}}
	flags := set.storeSettings.flags("./data", "directory of the database")
	flags = append(flags,
		text("email", "email of the account", "", &set.email),
		text("name", "name of the person", "", &set.name),
		text("role", "viewer, support, admin or owner", "owner", &set.role),
		text("org", "short name of the organization, made if it is the first", "", &set.org),
		set.password.flag(),
	)
	return &cli.Command{
		Name: "create", Usage: "make an account, or give an existing one a role in another organization",
		Flags: append(flags, set.logSettings.flags("warn")...), Action: leaf(func(ctx context.Context) error { return adminCreate(ctx, &set, s) }),
	}
}

func adminCreate(ctx context.Context, set *adminSettings, s stdio) error {
	var p problems
	data, log := set.storeSettings.check(&p, s.in), set.logSettings.check(&p, s.err)
	checkEmail(&p, "email", set.email)
	role := services.ParseRole(set.role)
	if role == services.NoRole {
		p.add("%s must be viewer, support, admin or owner, but is %q.", envName("role"), shown(set.role))
	}
	if set.org == "" {
		p.add("%s is missing: the short name of the organization, such as acme.", envName("org"))
	} else if set.org != services.Slug(set.org) {
		p.add("%s may hold lower case letters, digits and single hyphens, such as acme, but is %q.", envName("org"), shown(set.org))
	}
	password := readPassword(&p, &set.password, s)
	if err := p.err(); err != nil {
		return err
	}
	return withStore(ctx, data, services.Vendors{}, log, func(st *store) error {
		who := services.NewOwner{Email: set.email, Name: set.name, Password: password.Reveal(), OrgName: set.org}
		people := st.services.People
		org, err := people.Organization(ctx, set.org)
		var e *services.Error
		if errors.As(err, &e) && e.Kind == services.NotFound {
			org, err = firstOrganization(ctx, people, set.org)
		}
		if err != nil {
			return err
		}
		u, err := people.AddMember(ctx, org.ID, who, role)
		if err != nil {
			return err
		}
		s.say("%s is %s of the organization %s.", u.Email, role, org.Slug)
		return nil
	})
}

// firstOrganization makes an organization if there is none at all. A later one
// takes org create: a misspelt name would otherwise make a new one in silence.
func firstOrganization(ctx context.Context, people *services.People, slug string) (services.Organization, error) {
	all, err := people.Organizations(ctx)
	if err != nil {
		return services.Organization{}, err
	}
	if len(all) > 0 {
		return services.Organization{}, fmt.Errorf("there is no organization %q; make it with sightline org create", slug)
	}
	return people.AddOrganization(ctx, slug, slug)
}

func adminResetCommand(s stdio) *cli.Command {
	set := adminSettings{password: secretSetting{name: "password", what: "the new password"}}
	flags := set.storeSettings.flags("./data", "directory of the database")
	flags = append(flags, text("email", "email of the account", "", &set.email), set.password.flag())
	return &cli.Command{
		Name: "reset-password", Usage: "give an account a new password and sign it out everywhere",
		Flags: append(flags, set.logSettings.flags("warn")...), Action: leaf(func(ctx context.Context) error {
			var p problems
			data, log := set.storeSettings.check(&p, s.in), set.logSettings.check(&p, s.err)
			checkEmail(&p, "email", set.email)
			password := readPassword(&p, &set.password, s)
			if err := p.err(); err != nil {
				return err
			}
			return withStore(ctx, data, services.Vendors{}, log, func(st *store) error {
				if err := st.services.People.ResetPassword(ctx, set.email, password.Reveal()); err != nil {
					return err
				}
				s.say("The password of %s was changed, and it was signed out everywhere.", set.email)
				return nil
			})
		}),
	}
}

func orgCommand(s stdio) *cli.Command {
	var set struct {
		storeSettings
		logSettings
		slug, name string
	}
	flags := set.storeSettings.flags("./data", "directory of the database")
	flags = append(flags,
		text("name", "name of the organization", "", &set.name),
		text("org", "its short name for addresses; made from the name if not given", "", &set.slug),
	)
	create := &cli.Command{
		Name: "create", Usage: "make an organization",
		Flags: append(flags, set.logSettings.flags("warn")...), Action: leaf(func(ctx context.Context) error {
			var p problems
			data, log := set.storeSettings.check(&p, s.in), set.logSettings.check(&p, s.err)
			if set.name == "" {
				p.add("%s is missing: the name of the organization.", envName("name"))
			}
			if err := p.err(); err != nil {
				return err
			}
			return withStore(ctx, data, services.Vendors{}, log, func(st *store) error {
				o, err := st.services.People.AddOrganization(ctx, set.slug, set.name)
				if err != nil {
					return err
				}
				s.say("The organization %s was made; its pages are under /o/%s/.", o.Name, o.Slug)
				return nil
			})
		}),
	}
	return &cli.Command{Name: "org", Usage: "make organizations", Action: needsCommand, Commands: []*cli.Command{create}}
}
