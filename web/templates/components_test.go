package templates

import (
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"
	"github.com/google/go-cmp/cmp"
)

// now is the moment at which the tests look at things.
func now() time.Time { return time.Date(2026, 11, 21, 14, 3, 22, 0, time.UTC) }

// inside renders outer with a paragraph as its children.
func inside(outer templ.Component) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		return outer.Render(templ.WithChildren(ctx, templ.Raw("<p>inside</p>")), w)
	})
}

// all renders several components one after the other.
func all(cs ...templ.Component) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		for _, c := range cs {
			if err := c.Render(ctx, w); err != nil {
				return err
			}
			if _, err := io.WriteString(w, "\n"); err != nil {
				return err
			}
		}
		return nil
	})
}

func render(t *testing.T, c templ.Component) string {
	t.Helper()
	var b strings.Builder
	if err := c.Render(templ.WithNonce(t.Context(), "n0nce"), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func shell() Shell {
	return Shell{
		Title: "Customers", Org: OrgView{"acme", "Acme & Co"}, Orgs: []OrgView{{"acme", "Acme & Co"}, {"beta", "Beta"}},
		User: UserView{"Maria", "maria@acme.example", "Support"}, Active: "customers", Query: `a"b@c.example`, Now: now(), Demo: true,
		Budgets: []BudgetView{
			{Connection: "Shop", Left: 7, Allowance: 50, ResetsAt: now().Add(2 * time.Hour)},
			{Connection: "Journal"},
			{Connection: "Blog", Left: 0, Allowance: 50, BlockedUntil: now().Add(time.Hour)},
		},
		Flash: &FlashView{"success", "Saved."},
	}
}

// hostile is what comes from outside and must only ever be text.
const hostile = `<script>alert(1)</script>"'onclick=`

// examples are all components, each in its states.
func examples() map[string]templ.Component {
	wrong := FieldView{ID: "email", Name: "email", Label: "Email", Type: "email", Value: hostile, Hint: "Blank removes it.", Error: "That is not an email address.", MaxLength: 320, Autocomplete: "email"}
	return map[string]templ.Component{
		"layout":           inside(Layout(shell())),
		"layout-unlimited": inside(Layout(Shell{Title: "Home", Org: OrgView{"acme", "Acme"}, Budgets: []BudgetView{{Connection: "Journal"}}})),
		"bare":             inside(Bare("Sign in")),
		"page": all(inside(PageHeader("Ada", "seen <here>", Button(ButtonView{Kind: Primary, Label: "Go", Href: "/x?a=1&b=2"}))),
			inside(Card("Traits", Badge("3", "", ""))), inside(Card("", nil)), inside(Columns(Badge("aside", "accent", "info"))),
			Tabs("Customer", []TabView{{"Timeline", "/t", true, -1}, {"Traits", "/r", false, 1200}}),
			Stats([]StatView{{Label: "Errors", Value: "37", Hint: "in 12 sessions", Badge: RatingBadge("poor")}}),
			DefinitionList([]DefView{{Term: "Email", Text: hostile}, {Term: "Id", Text: "x", Mono: true}, {Term: "None"}, {Term: "Role", Content: RoleBadge("admin")}}),
			Chips(nil), Chips([]ChipView{{Icon: "globe", Label: "Country", Value: "Germany", RemoveHref: "/?"}, {Value: "a@b.example", Href: "/c"}}),
			Markdown("<p>kept <em>as it is</em></p>")),
		"alert": all(Alert(AlertView{Kind: "info", Text: hostile}), inside(Alert(AlertView{Kind: "success", Title: "Saved."})), Alert(AlertView{Kind: "warning", Title: "Old", Ref: "r1"}),
			Alert(AlertView{Kind: "error", Title: "Refused", Text: "Key.", Ref: "k3", Action: &LinkView{Label: "Settings", Href: "/s"}}),
			Empty(EmptyView{Title: "Nothing yet", Text: "It comes.", Action: &LinkView{Label: "Ask", Href: "/a"}}), inside(Empty(EmptyView{Icon: "users", Title: "Nobody"}))),
		"badge": all(RatingBadge("Excellent"), RatingBadge("good"), RatingBadge("AVERAGE"), RatingBadge("Poor"), RatingBadge(""), RatingBadge("weird"),
			ActivityBadge(true), ActivityBadge(false), VendorBadge("raygun"), VendorBadge("LogRocket"), VendorBadge(""), VendorBadge("Other"),
			StateBadge("queued"), StateBadge("sending"), StateBadge("pending"), StateBadge("running"), StateBadge("ready"), StateBadge("failed"), StateBadge("cancelled"), StateBadge("unknown"), StateBadge("odd"),
			RoleBadge("viewer"), RoleBadge("support"), RoleBadge("admin"), RoleBadge("owner"), RoleBadge("guest"), Badge(hostile, "no such tone", "no such icon")),
		"time": all(Age(now().Add(-3*time.Minute), now()), Age(time.Time{}, now()), Time(now()), Time(time.Time{}), Clock(now()), Clock(time.Time{}), Date(now()), Date(time.Time{}),
			Duration(134*time.Second), Duration(-1), Millis(840), Count(1, "call", "calls"), Count(1234, "", ""), Bytes(1536), Bytes(-1),
			AsOf(now().Add(-time.Hour), now(), "Raygun"), AsOf(time.Time{}, now(), "LogRocket"), AsOf(now(), now(), "")),
		"form": all(Field(wrong), Field(FieldView{ID: "pw", Name: "pw", Label: "Password", Type: "password", Value: "never shown", Required: true}),
			Field(FieldView{ID: "s", Name: "s", Label: "Page", HideLabel: true, Mono: true, Suggest: []string{"/a", "/b"}, Form: "f"}),
			DateField(FieldView{ID: "d", Name: "d", Label: "From", Value: "2026-11-01", Min: "2026-01-01"}), TextArea(wrong, 3),
			Select(FieldView{ID: "r", Name: "r", Label: "Rating", Value: "poor"}, []OptionView{{Label: "Any"}, {Value: "poor", Label: "Poor"}, {Value: "x", Label: "X", Disabled: true}}),
			Checkbox(FieldView{ID: "c", Name: "c", Label: "Tell me"}, true), Radios(FieldView{ID: "k", Name: "k", Label: "Kind", Value: "b", Error: "Choose one."}, []OptionView{{Value: "a", Label: "A"}, {Value: "b", Label: "B", Hint: "better"}}),
			Checkboxes(FieldView{ID: "m", Name: "m", Label: "Countries"}, []OptionView{{Value: "de", Label: "Germany"}, {Value: "fr", Label: "France"}}, []string{"fr"}),
			ErrorSummary([]FieldView{wrong, {ID: "ok"}}), ErrorSummary([]FieldView{{ID: "ok"}}), ErrorSummary([]FieldView{wrong, wrong}),
			inside(FilterBar(FilterView{Action: "/o/acme/sessions", Target: "list", ResetHref: "/o/acme/sessions"})), inside(FilterBar(FilterView{Action: "/x", Submit: "Show"}))),
		"action": all(Button(ButtonView{Label: "Save"}), Button(ButtonView{Kind: Quiet, Label: "Close", Icon: "x", IconOnly: true, Type: "button"}), Button(ButtonView{Kind: Danger, Label: "Remove", Name: "do", Value: "rm", Form: "f", Small: true}),
			Button(ButtonView{Label: "Edit", Href: "/e", Disabled: "Viewers cannot edit."}), Button(ButtonView{Label: "Bad", Href: "javascript:alert(1)"}),
			SpendButton(SpendView{Label: "Ask Raygun", Calls: 1, Left: 37}), SpendButton(SpendView{Label: "Backfill", Calls: 6, Left: -1, Kind: Secondary, Name: "a", Value: "b"}),
			SpendButton(SpendView{Label: "Refresh", Calls: 1, Left: 0, Disabled: "No calls left until 00:00 UTC."}),
			CopyButton("Copy for ticket", "a\n"+hostile), ExternalLink("https://app.raygun.com/x", "Session", "raygun"), ExternalLink("javascript:alert(1)", hostile, ""),
			inside(Confirm(ConfirmView{ID: "rm", Open: ButtonView{Kind: Danger, Label: "Remove"}, Title: "Remove it?", Text: "For good.", Action: "/rm", Fields: []HiddenView{{"id", hostile}}, Submit: ButtonView{Kind: Danger, Label: "Remove"}}))),
		"table": all(inside(Table(TableView{ID: "t", Caption: "Sessions", Cards: true, Columns: []ColumnView{{Label: "Page"}, {Label: "Load", Num: true, Href: "/?sort=load", Sorted: "descending"}, {Label: "Do", Hide: true}}})), inside(Cell("Load", true)),
			Pager(PagerView{Older: "/?before=1", Shown: "50+ hits"}), Pager(PagerView{Newer: "/?after=1", Shown: "3 hits"})),
		"timeline": Timeline([]DayView{{Date: now(), Note: "1 session", Entries: []EntryView{
			{Icon: "bug", Tone: "bad", At: now(), Title: hostile, Href: "/e", Badges: RatingBadge("good"), Meta: hostile},
			{At: now(), Href: "/o/acme/sessions/1", Session: &SessionEntry{Pages: 1, LengthMS: 5_400_000, Errors: 1, Rating: "poor", Active: true, Country: "DE", Browser: "Chrome"}},
			{At: now(), Href: "/o/acme/sessions/2", Session: &SessionEntry{Pages: 1200, LengthMS: -1, Errors: 0, Rating: hostile, Browser: hostile, OS: hostile}},
			{At: now(), Href: "javascript:alert(1)", Session: &SessionEntry{Pages: -1, LengthMS: 0, Errors: -1, Country: hostile, Device: hostile}},
			{At: now(), Href: "/o/acme/sessions/3", Session: &SessionEntry{Pages: -1, LengthMS: -1, Errors: -1}},
			{Icon: "film", At: now(), Title: hostile, Href: "javascript:alert(1)"}, {Icon: hostile, Tone: hostile, At: now(), Title: hostile},
		}}, {Date: now().AddDate(0, 0, -1)}}, now()),
		"timeline-of-nothing": Timeline(nil, now()),
		"waterfall":           all(Waterfall("Page views", []WaterfallRow{{"/", "", false, 0, 840, 14000}, {hostile, "", false, 14000, -1, 6000}, {hostile, "https://app.raygun.com/e", true, 15000, -1, -1}}), Waterfall("None", nil)),
		"live": all(Progress(ProgressView{Label: "Fetching", Done: 1240, Total: 5000, Unit: "sessions", Rate: "120 a second", Left: "31 s left"}), Progress(ProgressView{Label: "Waiting"}), Meter("Shop", "4 of 50", 4, 50), Meter("Blog", "0 of 50", 0, 50),
			Skeleton(2), inside(Poller("p", "/o/acme/asks/1", 2)), inside(Live("/o/acme/highlights/1/events")), inside(Poller("evil", "https://evil.example/", 2)), ToastFragment(FlashView{"error", hostile})),
		"icons": all(Icon("house"), Icon("no such icon")),
	}
}

var update = flag.Bool("update", false, "write the golden files anew")

func TestComponentsLookAsRecorded(t *testing.T) {
	for name, c := range examples() {
		t.Run(name, func(t *testing.T) {
			// The addresses of built files change with their content.
			got := regexp.MustCompile(`\.[0-9a-f]{12}\.(css|js|svg)"`).ReplaceAllString(render(t, c), `.HASH.$1"`)
			got = strings.ReplaceAll(got, "><", ">\n<")
			file := filepath.Join("testdata", name+".golden.html")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s differs (run with -update if that is meant):\n%s", file, diff)
			}
		})
	}
}

func TestComponentsKeepToTheContentSecurityPolicy(t *testing.T) {
	tag := regexp.MustCompile(`<[a-zA-Z][^>]*>`)
	quoted := regexp.MustCompile(`"[^"]*"`)
	for name, c := range examples() {
		for _, element := range tag.FindAllString(render(t, c), -1) {
			attrs := quoted.ReplaceAllString(element, `""`)
			switch {
			case regexp.MustCompile(`\sstyle=`).MatchString(attrs):
				t.Errorf("%s has a style attribute: %s", name, element)
			case regexp.MustCompile(`\s(on[a-z]+|hx-on[^=]*)=`).MatchString(attrs):
				t.Errorf("%s has an inline handler: %s", name, element)
			case strings.HasPrefix(element, "<script") && !strings.Contains(element, " src="):
				t.Errorf("%s has an inline script: %s", name, element)
			case strings.Contains(attrs, " hx-") && !strings.HasPrefix(element, "<hx-partial") && !strings.Contains(element, `hx-nonce="n0nce"`):
				t.Errorf("%s has an htmx element without the nonce: %s", name, element)
			case strings.Contains(element, "javascript:"):
				t.Errorf("%s has a javascript: address: %s", name, element)
			case strings.Contains(element, "//evil.example"):
				t.Errorf("%s makes htmx fetch from another site: %s", name, element)
			}
		}
	}
}

func TestAPasswordIsNeverWrittenIntoThePage(t *testing.T) {
	if html := render(t, examples()["form"]); strings.Contains(html, "never shown") {
		t.Error("the value of a password field is in the page")
	}
}

func TestAFieldIsTiedToItsHintAndError(t *testing.T) {
	html := render(t, Field(FieldView{ID: "email", Label: "Email", Hint: "h", Error: "e"}))
	for _, want := range []string{`for="email"`, `aria-describedby="email-hint email-error"`, `aria-invalid="true"`, `id="email-hint"`, `id="email-error"`} {
		if !strings.Contains(html, want) {
			t.Errorf("no %s in %s", want, html)
		}
	}
}

func TestWithoutANonceHtmxIsLeftAlone(t *testing.T) {
	if got := HX(t.Context()); len(got) != 0 {
		t.Errorf("HX = %v, want nothing", got)
	}
}

func TestPathLetsOnlyThisSiteThrough(t *testing.T) {
	for in, want := range map[string]string{
		"/o/acme/?q=1": "/o/acme/?q=1", "//evil.example/": "", `/\evil.example/`: "", "https://evil.example/": "", "javascript:alert(1)": "", "relative": "", "": "",
	} {
		if got := Path(in); got != want {
			t.Errorf("Path(%q) = %q, want %q", in, got, want)
		}
	}
}
