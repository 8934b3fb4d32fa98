package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// chromium finds the browser: where CHROMIUM says, or under its usual names.
// Without one the browser tests are skipped, but not where CI is set.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"} {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const sentence = "There is no Chromium on this machine, so nothing was tried in a browser. Install it (on Debian: apt-get install chromium) or name it in CHROMIUM."
	if os.Getenv("CI") != "" {
		t.Fatal(sentence)
	}
	t.Skip(sentence)
	return ""
}

// newBrowser starts a browser that ends with the test.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium(t)),
		// Tests run as root in containers, where the sandbox does not work.
		// They open nothing but our own pages on loopback.
		chromedp.NoSandbox,
		chromedp.Flag("hide-scrollbars", true),
	)
	alloc, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start the browser: %v", err)
	}
	return ctx
}

// look is how a page is looked at.
type look struct {
	width, height int
	dark          bool
	noScript      bool
}

func (l look) String() string {
	theme := "light"
	if l.dark {
		theme = "dark"
	}
	return fmt.Sprintf("%s-%d", theme, l.width)
}

// tab is a tab of a browser with cookies of its own.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string
	dark bool

	mu       sync.Mutex
	reported []string // what the console, the CSP and scripts complained about
}

// newTab opens a tab that ends with the test.
func newTab(t *testing.T, browser context.Context, base string, l look) *tab {
	t.Helper()
	b := &tab{t: t, base: base}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.hear))
	t.Cleanup(cancel)
	b.ctx = ctx
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	b.do("hear the log", command(log.Enable, cdp.Empty{}))
	b.look(l)
	return b
}

// command makes an action of a protocol command whose result nobody needs.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// hear notes every complaint of the page.
func (b *tab) hear(event any) {
	var what string
	switch e := event.(type) {
	case *log.EventEntryAdded:
		// A status of 4xx is also a "network" entry: tests of wrong input expect it.
		if e.Entry.Source == log.EntrySourceNetwork || e.Entry.Level != log.EntryLevelError && e.Entry.Source != log.EntrySourceSecurity {
			return
		}
		what = fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
	case *runtime.EventExceptionThrown:
		what = "script: " + exception(e.ExceptionDetails).Error()
	case *runtime.EventConsoleAPICalled:
		if e.Type != runtime.ConsoleAPICalledTypeError && e.Type != runtime.ConsoleAPICalledTypeWarning && e.Type != runtime.ConsoleAPICalledTypeAssert {
			return
		}
		var said []string
		for _, a := range e.Args {
			said = append(said, string(a.Value)+a.Description)
		}
		what = "console: " + strings.Join(said, " ")
	default:
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reported = append(b.reported, what)
}

// complaints returns what was reported since the last time.
func (b *tab) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.reported
	b.reported = nil
	return out
}

// do runs actions and fails the test if one does not work within our patience.
func (b *tab) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		where, _ := chromedp.Run(b.ctx, chromedp.Location())
		b.t.Fatalf("%s (at %s): %v\n%s", what, where, err, tail(b.text("body"), 2000))
	}
}

// value runs an action that has a value.
func value[T any](b *tab, what string, action chromedp.Action[T]) T {
	b.t.Helper()
	var v T
	b.do(what, func(ctx context.Context, t *chromedp.Target) (_ chromedp.Void, err error) {
		v, err = action(ctx, t)
		return chromedp.Void{}, err
	})
	return v
}

// look sets width, theme and scripting.
func (b *tab) look(l look) {
	b.t.Helper()
	scheme := "light"
	b.dark = l.dark
	if l.dark {
		scheme = "dark"
	}
	if l.height == 0 {
		l.height = 900
	}
	b.do("set the view",
		command(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: int64(l.width), Height: int64(l.height), DeviceScaleFactor: 1, Mobile: l.width < 500,
		}),
		command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}}),
		command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: l.noScript}),
	)
}

// open opens an address of the site and waits until it is loaded.
func (b *tab) open(path string) {
	b.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = b.base + path
	}
	b.do("open "+path, chromedp.Navigate(path), chromedp.WaitReady(chromedp.CSS("body")))
}

// path is the address that the tab is at, without the site.
func (b *tab) path() string {
	b.t.Helper()
	return strings.TrimPrefix(value(b, "ask for the address", chromedp.Location()), b.base)
}

// text is what an element shows, empty if it is not there or the page is on
// its way to another.
func (b *tab) text(selector string) string {
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector)))
	if err != nil {
		return ""
	}
	return text
}

// waitText waits until the page shows what the pattern matches.
func (b *tab) waitText(pattern string) {
	b.t.Helper()
	re := regexp.MustCompile(pattern)
	eventually(b.t, fmt.Sprintf("the page shows %q", pattern), func() bool { return re.MatchString(b.text("body")) })
}

// waitPath waits until the tab is at an address that the pattern matches.
func (b *tab) waitPath(pattern string) {
	b.t.Helper()
	re := regexp.MustCompile(pattern)
	last := ""
	defer func() {
		if b.t.Failed() {
			b.t.Logf("the tab is at %s\n%s", last, tail(b.text("body"), 2000))
		}
	}()
	eventually(b.t, fmt.Sprintf("the tab is at %q", pattern), func() bool {
		last = b.path()
		return re.MatchString(last)
	})
}

// signIn fills in the sign-in form.
func (b *tab) signIn(email, password string) {
	b.t.Helper()
	b.open("/login")
	b.do("sign in",
		chromedp.SendKeys(chromedp.CSS("#email"), email),
		chromedp.SendKeys(chromedp.CSS("#password"), password),
		chromedp.Submit(chromedp.CSS("#password")),
	)
	b.waitPath("^/o/")
	b.do("wait for the page", chromedp.WaitReady(chromedp.CSS("main")))
}

// finding is one rule that axe found broken.
type finding struct {
	ID, Help string
	Nodes    []struct {
		HTML           string
		FailureSummary string `json:"failureSummary"`
	}
}

// axe runs the accessibility checks on the page, in a world of its own so that
// neither the page nor its CSP notices, and returns what is wrong.
func (b *tab) axe(source string) []finding {
	b.t.Helper()
	// The dark theme differs from the light one in its colours alone.
	options := `{resultTypes: ["violations"]}`
	if b.dark {
		options = `{resultTypes: ["violations"], runOnly: {type: "rule", values: ["color-contrast", "link-in-text-block"]}}`
	}
	text := value(b, "run axe", func(ctx context.Context, t *chromedp.Target) (string, error) {
		tree, err := cdp.Call(ctx, t, cdppage.GetFrameTree, cdp.Empty{})
		if err != nil {
			return "", err
		}
		world, err := cdp.Call(ctx, t, cdppage.CreateIsolatedWorld, cdppage.CreateIsolatedWorldParams{FrameID: tree.FrameTree.Frame.ID, WorldName: "axe"})
		if err != nil {
			return "", err
		}
		if _, err := evaluate(ctx, t, source, world.ExecutionContextID); err != nil {
			return "", err
		}
		return evaluate(ctx, t, `axe.run(document, `+options+`).then(r => JSON.stringify(r.violations))`, world.ExecutionContextID)
	})
	var found []finding
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		b.t.Fatalf("read axe's answer: %v", err)
	}
	return found
}

// evaluate runs a script in one world of the page and waits for its text, if
// it has one.
func evaluate(ctx context.Context, t *chromedp.Target, script string, world runtime.ExecutionContextID) (string, error) {
	yes := true
	res, err := cdp.Call(ctx, t, runtime.Evaluate, runtime.EvaluateParams{Expression: script, ContextID: world, AwaitPromise: &yes, ReturnByValue: &yes})
	if err != nil {
		return "", err
	}
	if res.ExceptionDetails != nil {
		return "", exception(res.ExceptionDetails)
	}
	var text string
	if res.Result.Type == "string" {
		err = json.Unmarshal(res.Result.Value, &text)
	}
	return text, err
}

func exception(e *runtime.ExceptionDetails) error {
	text := e.Text
	if e.Exception != nil {
		text += " " + e.Exception.Description
	}
	return fmt.Errorf("%s (%s:%d)", text, e.URL, e.LineNumber)
}

// axeSource reads the copy of axe-core that make generate takes from its package.
func axeSource(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "axe", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// checkPage fails the test for every fault of the page.
func (b *tab) checkPage(name, axe string) {
	b.t.Helper()
	for _, f := range b.faults(axe) {
		b.t.Errorf("%s: %s", name, f)
	}
}

// faults are what axe, the CSP and the console find wrong with the page, and
// whether it is wider than the window.
func (b *tab) faults(axe string) []string {
	b.t.Helper()
	var out []string
	for _, f := range b.axe(axe) {
		text := fmt.Sprintf("axe: %s: %s", f.ID, f.Help)
		for _, n := range f.Nodes {
			text += "\n    " + tail(n.HTML, 300) + "\n      " + strings.ReplaceAll(n.FailureSummary, "\n", "\n      ")
		}
		out = append(out, text)
	}
	if wide := b.overflow(); wide != "" {
		out = append(out, wide)
	}
	return append(out, b.complaints()...)
}

// overflow says by what the page scrolls sideways, "" if it does not.
func (b *tab) overflow() string {
	b.t.Helper()
	return value(b, "measure the page", chromedp.Evaluate[string](`(() => {
		const d = document.documentElement
		if (d.scrollWidth <= d.clientWidth) return ""
		const far = [...document.querySelectorAll("body *")].filter(e => !e.closest(".mainnav") && e.getBoundingClientRect().right > d.clientWidth + 1)
		return "scrolls sideways: " + d.scrollWidth + " px wide in a window of " + d.clientWidth + " px: " + far.slice(0, 3).map(e => e.outerHTML.slice(0, 160)).join(" | ")
	})()`))
}

// screenshot writes a picture of the page to the directory that
// SIGHTLINE_SCREENSHOTS names, if it does.
func (b *tab) screenshot(name string) {
	b.t.Helper()
	dir := os.Getenv("SIGHTLINE_SCREENSHOTS")
	if dir == "" {
		return
	}
	png := value(b, "take a picture", chromedp.FullScreenshot(100))
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)); err != nil {
		b.t.Error(err)
	}
}
