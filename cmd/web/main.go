// Command sightline is the whole of Sightline: the server, the try-out with
// stand-ins for the vendors, and the commands for those who run it. It reads
// the configuration, builds every value, passes it on, and starts and stops
// things in order.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/urfave/cli/v3"

	"sightline/internal/services"
)

func main() {
	os.Exit(run(context.Background(), os.Args, stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

// stdio is where a command reads and writes.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// say prints a line for the person who gave the command. If nobody reads it
// there is nobody left to tell.
func (s stdio) say(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format+"\n", args...) }

// Exit statuses.
const (
	exitFault = 1 // something is wrong, and it was said what
	exitUsage = 2 // the command cannot be meant like this
)

// errUsage marks what the command line itself got wrong.
var errUsage = errors.New("usage")

// run is main without the process: it returns the exit status.
func run(ctx context.Context, args []string, s stdio) int {
	err := rootCommand(s).Run(ctx, args)
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintf(s.err, "sightline: %s\n", explain(err))
	if errors.Is(err, errUsage) {
		return exitUsage
	}
	return exitFault
}

// explain is an error in words: the sentence for a person where there is one.
func explain(err error) string {
	var e *services.Error
	if errors.As(err, &e) {
		return e.Msg
	}
	return strings.TrimSuffix(err.Error(), "\n"+errUsage.Error())
}

func rootCommand(s stdio) *cli.Command {
	root := &cli.Command{
		Name:  "sightline",
		Usage: "type a customer's email, see what really happened to them",
		Description: "Every flag can be given as an environment variable, named beside it. Secrets are never arguments: each is read\n" +
			"from its variable, or from the file that its …-file flag or …_FILE variable names (- is standard input).",
		Version:        version(),
		HideVersion:    true,
		Suggest:        true,
		Writer:         s.out,
		ErrWriter:      s.err,
		ExitErrHandler: func(context.Context, *cli.Command, error) {}, // run prints and chooses the status
		Commands: []*cli.Command{
			serveCommand(s), demoCommand(s), doctorCommand(s), adminCommand(s), orgCommand(s), connectionCommand(s), keysCommand(s), backupCommand(s),
			{
				Name: "version", Usage: "print the version",
				Action: leaf(func(context.Context) error {
					s.say("sightline %s", version())
					return nil
				}),
			},
		},
		Action: needsCommand,
	}
	harden(root)
	return root
}

// harden gives every command the same manners: a wrong flag is a usage error
// in one sentence, without a page of help that hides it.
func harden(c *cli.Command) {
	c.OnUsageError = func(_ context.Context, cmd *cli.Command, err error, _ bool) error {
		return usage("%s: %v; see %s --help", cmd.FullName(), err, cmd.FullName())
	}
	for _, sub := range c.Commands {
		harden(sub)
	}
}

// usage makes an error of the command line.
func usage(format string, args ...any) error {
	return fmt.Errorf("%s\n%w", fmt.Sprintf(format, args...), errUsage)
}

// needsCommand is the action of commands that only hold others.
func needsCommand(_ context.Context, cmd *cli.Command) error {
	if name := cmd.Args().First(); name != "" {
		return usage("there is no command %q; see %s --help", name, cmd.FullName())
	}
	return cli.ShowSubcommandHelp(cmd)
}

// leaf is the action of a command that takes flags alone. A stray argument is
// refused without repeating it: it may be a secret in the wrong place.
func leaf(fn func(ctx context.Context) error) cli.ActionFunc {
	return func(ctx context.Context, cmd *cli.Command) error {
		if n := cmd.Args().Len(); n > 0 {
			return usage("%s takes flags only, but %d other arguments were given; see %s --help", cmd.FullName(), n, cmd.FullName())
		}
		return fn(ctx)
	}
}

// version is the module's version, or the commit that it was built from.
func version() string {
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := b.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range b.Settings {
		if s.Key == "vcs.revision" {
			return "development, commit " + s.Value[:min(12, len(s.Value))]
		}
	}
	return "development"
}
