package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v3"

	"sightline/internal/services"
	"sightline/internal/services/secrets"
)

// envPrefix begins the name of every environment variable that we read.
const envPrefix = "SIGHTLINE_"

// envName is the variable of a flag: --data-dir is SIGHTLINE_DATA_DIR.
func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// text declares a setting: the flag, its variable and its default in one. All
// settings are read as text, so that all faults can be told at once.
func text(name, usage, value string, into *string) cli.Flag {
	return &cli.StringFlag{Name: name, Usage: usage, Value: value, Destination: into, Sources: cli.NewValueSourceChain(variable(envName(name)))}
}

// variable is an environment variable as the source of a setting. An empty one
// counts as not set, as compose files and unit files leave them.
type variable string

// Lookup returns what the variable holds.
func (v variable) Lookup() (string, bool) {
	value := os.Getenv(string(v))
	return value, value != ""
}

// String describes the source.
func (v variable) String() string { return "environment variable " + string(v) }

// GoString describes the source.
func (v variable) GoString() string { return fmt.Sprintf("variable(%q)", string(v)) }

// IsFromEnv makes the help name the variable.
func (v variable) IsFromEnv() bool { return true }

// Key is the variable's name.
func (v variable) Key() string { return string(v) }

// secretSetting is a secret that comes from a variable, a file or standard
// input, and never from an argument, which other users of the machine could see.
type secretSetting struct {
	name string // as a flag would be called
	what string // in a sentence
	file string
}

// flag declares where the secret is read from.
func (s *secretSetting) flag() cli.Flag {
	return text(s.name+"-file", fmt.Sprintf("file with %s, - for standard input; or give it in %s", s.what, envName(s.name)), "", &s.file)
}

// read returns the secret, zero if none was given.
func (s *secretSetting) read(p *problems, stdin io.Reader) secrets.Secret {
	value, given := os.LookupEnv(envName(s.name))
	given = given && value != ""
	switch {
	case given && s.file != "":
		p.add("%s is given twice, in %s and in %s: give one of them.", sentence(s.what), envName(s.name), envName(s.name+"-file"))
	case given:
		return secrets.New(strings.TrimSpace(value))
	case s.file == "-":
		line, err := readLine(stdin)
		if err != nil || line == "" {
			p.add("%s was expected on standard input, but nothing came.", sentence(s.what))
		}
		return secrets.New(line)
	case s.file != "":
		b, err := os.ReadFile(s.file)
		if err != nil {
			p.add("%s cannot be read: %v.", sentence(s.what), err)
			return secrets.Secret{}
		}
		v := strings.TrimSpace(string(b))
		if v == "" {
			p.add("%s cannot be read: the file %s is empty.", sentence(s.what), s.file)
		}
		return secrets.New(v)
	}
	return secrets.Secret{}
}

// readLine reads one line byte by byte, so that the next reader of the same
// stream finds the next line.
func readLine(r io.Reader) (string, error) {
	var line []byte
	var b [1]byte
	for len(line) < 1<<16 {
		n, err := r.Read(b[:])
		if n == 1 {
			if b[0] == '\n' {
				break
			}
			line = append(line, b[0])
		}
		if errors.Is(err, io.EOF) && len(line) > 0 {
			break
		}
		if err != nil {
			return "", err
		}
	}
	return strings.TrimSpace(string(line)), nil
}

func sentence(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return strings.ToUpper(string(r)) + s[n:]
}

// problems gathers every fault of the configuration.
type problems []string

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

// err says all faults at once, nil if there is none.
func (p problems) err() error {
	switch len(p) {
	case 0:
		return nil
	case 1:
		return usage("%s", p[0])
	}
	return usage("%d settings are wrong; nothing was started.\n  - %s", len(p), strings.Join(p, "\n  - "))
}

// storeSettings are what every command needs that opens the data.
type storeSettings struct {
	dataDir   string
	masterKey secretSetting
}

// storeConfig is where the data lies and what opens its secrets.
type storeConfig struct {
	dir       string         // absolute
	masterKey secrets.Secret // zero: kept in the directory
}

func (c storeConfig) database() string      { return filepath.Join(c.dir, "sightline.db") }
func (c storeConfig) filesDir() string      { return filepath.Join(c.dir, "exports") }
func (c storeConfig) lockFile() string      { return filepath.Join(c.dir, "sightline.lock") }
func (c storeConfig) masterKeyFile() string { return filepath.Join(c.dir, "master.key") }

func (s *storeSettings) flags(dataDir, usage string) []cli.Flag {
	s.masterKey = secretSetting{name: "master-key", what: "the master key that opens the stored secrets (32 random bytes as base64 or hex)"}
	return []cli.Flag{text("data-dir", usage, dataDir, &s.dataDir), s.masterKey.flag()}
}

func (s *storeSettings) check(p *problems, stdin io.Reader) storeConfig {
	var c storeConfig
	var err error
	if s.dataDir == "" {
		p.add("%s is empty: name the directory that holds the data.", envName("data-dir"))
	} else if c.dir, err = filepath.Abs(s.dataDir); err != nil {
		p.add("%s: %v.", envName("data-dir"), err)
	} else if info, err := os.Stat(c.dir); err == nil && !info.IsDir() {
		p.add("%s: %s is not a directory.", envName("data-dir"), c.dir)
	}
	c.masterKey = s.masterKey.read(p, stdin)
	if !c.masterKey.IsZero() {
		if _, _, err := secrets.NewBox(c.masterKey); err != nil {
			p.add("%s: %v.", envName("master-key"), err)
		}
	}
	return c
}

// vendorSettings say where the vendors are.
type vendorSettings struct{ raygun, logrocket, logrocketApp string }

func (s *vendorSettings) flags() []cli.Flag {
	return []cli.Flag{
		text("raygun-url", "base URL of Raygun's API", "https://api.raygun.com", &s.raygun),
		text("logrocket-url", "base URL of LogRocket's API", "https://api.logrocket.com", &s.logrocket),
		text("logrocket-app-url", "base URL of LogRocket's web app, where links lead", "https://app.logrocket.com", &s.logrocketApp),
	}
}

func (s *vendorSettings) check(p *problems) services.Vendors {
	return services.Vendors{
		RaygunURL:       checkURL(p, "raygun-url", s.raygun),
		LogRocketURL:    checkURL(p, "logrocket-url", s.logrocket),
		LogRocketAppURL: checkURL(p, "logrocket-app-url", s.logrocketApp),
	}
}

// checkURL accepts a plain http or https address without credentials, query or
// fragment, and returns it without its last slash.
func checkURL(p *problems, name, value string) string {
	u, err := url.Parse(value)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		p.add("%s must be an address such as https://api.example.com, but is %q.", envName(name), shown(value))
	case u.User != nil:
		p.add("%s must not hold a user name or password.", envName(name))
	case u.RawQuery != "" || u.Fragment != "":
		p.add("%s must be an address without ? and #.", envName(name))
	}
	return strings.TrimRight(value, "/")
}

// shown is what a fault may repeat of a wrong value: not all of it, for it may
// be a secret that was put into the wrong variable.
func shown(value string) string {
	if at := strings.LastIndex(value, "@"); at >= 0 {
		value = "…" + value[at:]
	}
	if utf8.RuneCountInString(value) > 60 {
		value = string([]rune(value)[:60]) + "…"
	}
	return value
}

// logSettings say how the log is written.
type logSettings struct{ format, level string }

func (s *logSettings) flags(level string) []cli.Flag {
	return []cli.Flag{
		text("log-format", "text or json", "text", &s.format),
		text("log-level", "debug, info, warn or error", level, &s.level),
	}
}

func (s *logSettings) check(p *problems, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.level)); err != nil || !slices.Contains([]string{"debug", "info", "warn", "error"}, strings.ToLower(s.level)) {
		p.add("%s must be debug, info, warn or error, but is %q.", envName("log-level"), shown(s.level))
	}
	o := &slog.HandlerOptions{Level: level}
	switch s.format {
	case "text":
		return slog.New(slog.NewTextHandler(w, o))
	case "json":
		return slog.New(slog.NewJSONHandler(w, o))
	}
	p.add("%s must be text or json, but is %q.", envName("log-format"), shown(s.format))
	return slog.New(slog.DiscardHandler)
}

// checkListen accepts host:port; the host may be empty for all addresses.
func checkListen(p *problems, value string) string {
	host, port, err := net.SplitHostPort(value)
	if err == nil {
		var n int
		if n, err = strconv.Atoi(port); err == nil && (n < 0 || n > 65535) {
			err = errors.New("no such port")
		}
	}
	if err != nil || strings.ContainsAny(host, " /") {
		p.add("%s must be an address and a port such as 127.0.0.1:8420, but is %q.", envName("listen"), shown(value))
	}
	return value
}

// checkYes accepts yes and no, and what other programs write for them.
func checkYes(p *problems, name, value string) bool {
	switch strings.ToLower(value) {
	case "yes", "true", "1", "on":
		return true
	case "no", "false", "0", "off", "":
		return false
	}
	p.add("%s must be yes or no, but is %q.", envName(name), shown(value))
	return false
}

// checkEmail accepts one bare email address.
func checkEmail(p *problems, name, value string) {
	if a, err := mail.ParseAddress(value); err != nil || a.Address != value {
		p.add("%s must be an email address such as ada@example.com, but is %q.", envName(name), shown(value))
	}
}

// checkPassword accepts what People accepts, and says so before anything starts.
func checkPassword(p *problems, what string, s secrets.Secret) {
	if n := utf8.RuneCountInString(s.Reveal()); n < services.MinPassword {
		p.add("%s must have at least %d characters; it has %d.", sentence(what), services.MinPassword, n)
	}
}

// checkNumber accepts a whole number in a range.
func checkNumber(p *problems, name, value string, low, high int64) int64 {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < low || n > high {
		p.add("%s must be a whole number from %d to %d, but is %q.", envName(name), low, high, shown(value))
	}
	return n
}

// unknownVariables lists the SIGHTLINE_ variables that no command reads: a
// misspelt one would otherwise be ignored without a word.
func unknownVariables(root *cli.Command, environ []string) []string {
	known := map[string]bool{}
	var walk func(*cli.Command)
	walk = func(c *cli.Command) {
		for _, f := range c.Flags {
			for _, name := range f.Names() {
				known[envName(name)] = true
				known[strings.TrimSuffix(envName(name), "_FILE")] = true
			}
		}
		for _, sub := range c.Commands {
			walk(sub)
		}
	}
	walk(root)
	var out []string
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, envPrefix) && !known[name] {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
