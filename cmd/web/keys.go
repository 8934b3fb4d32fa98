package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/urfave/cli/v3"

	"sightline/internal/services"
	"sightline/internal/services/secrets"
)

func keysCommand(s stdio) *cli.Command {
	return &cli.Command{
		Name: "keys", Usage: "look after the keys that seal the stored secrets", Action: needsCommand,
		Commands: []*cli.Command{keysRotateCommand(s)},
	}
}

func keysRotateCommand(s stdio) *cli.Command {
	var set struct {
		storeSettings
		logSettings
		fresh secretSetting
	}
	set.fresh = secretSetting{name: "new-master-key", what: "the master key that is to open the stored secrets from now on"}
	flags := append(set.storeSettings.flags("./data", "directory of the database"), set.fresh.flag())
	return &cli.Command{
		Name: "rotate", Usage: "seal every stored secret anew with fresh keys, and with another master key if one is given",
		Description: "The server must be stopped. Either everything is sealed anew or nothing is. With a new master key, put it where the\n" +
			"old one was before the next start. Backups from before still open with the old master key alone.",
		Flags: append(flags, set.logSettings.flags("warn")...), Action: leaf(func(ctx context.Context) error {
			var p problems
			c, log := set.storeSettings.check(&p, s.in), set.logSettings.check(&p, s.err)
			master := set.fresh.read(&p, s.in)
			if !master.IsZero() {
				if _, _, err := secrets.NewBox(master); err != nil {
					p.add("%s: %v.", envName(set.fresh.name), err)
				}
			}
			if err := p.err(); err != nil {
				return err
			}
			return alone(c, func() error {
				return withStore(ctx, c, services.Vendors{}, log, func(st *store) error { return rotateKeys(ctx, c, st, master, log, s) })
			})
		}),
	}
}

// rotateKeys seals everything anew; a master that is zero stays as it is.
func rotateKeys(ctx context.Context, c storeConfig, st *store, master secrets.Secret, log *slog.Logger, s stdio) error {
	old, err := masterKey(ctx, c, st.db, log)
	if err != nil {
		return err
	}
	same := master.IsZero() || master.Reveal() == old.Reveal()
	if same {
		master = old
	}
	box, err := services.OpenBox(ctx, st.db, old, time.Now())
	if err != nil {
		return fmt.Errorf("open the sealed keys: %w", err)
	}
	n, err := services.RotateKeys(ctx, st.db, box, master, time.Now())
	if err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	s.say("%d stored secrets are sealed with fresh keys.", n)
	switch {
	case same:
		s.say("The master key is the same as before.")
	case c.masterKey.IsZero():
		s.say("The new master key opens them: write it into %s before the next start.", c.masterKeyFile())
	default:
		s.say("The new master key opens them: give it in %s from the next start on.", envName("master-key"))
	}
	return nil
}
