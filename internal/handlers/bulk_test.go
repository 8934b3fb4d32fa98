package handlers_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sightline/internal/services"
)

func TestBulkEditGoesThroughWhole(t *testing.T) {
	v, s := newUserKeeper(t)
	b := s.as(t, "support@example.com")
	var file strings.Builder
	file.WriteString("\ufeffUser ID;Plan;Seats\r\n")
	for i := range 300 {
		fmt.Fprintf(&file, "u%d;\"gold; %d\";%d\r\n", i, i, i)
	}
	v.fail = func(user string, nth int) (int, string) {
		switch {
		case user == "u17":
			return http.StatusBadRequest, ""
		case nth == 150:
			return http.StatusTooManyRequests, "1"
		}
		return 0, ""
	}
	token := services.NewFormToken()
	a := b.upload(bulkAt, token, "plans.csv", []byte(file.String()))
	if again := b.upload(bulkAt, token, "plans.csv", []byte(file.String())); again.location != a.location {
		t.Errorf("the form sent twice made %s and %s", a.location, again.location)
	}
	page := a.location
	b.get(page+"/columns").wants(t, http.StatusOK, "UTF-8 with a byte order mark", "semicolon between cells", "as on Windows", "3 columns", "gold; 1")
	b.planned(page).wants(t, http.StatusOK, "What LogRocket had before is not known.", "Send 300 lines to LogRocket", "gold; 0")
	b.get(page+"?lines=ready&after=299").wants(t, http.StatusOK, "u298", "u299")
	if n := v.sum(); n != 0 {
		t.Fatalf("the dry run put %d times", n)
	}
	for range 2 { // a double click
		b.post(page+"/send", "rate", "5", "reason", "ticket 7").wants(t, http.StatusSeeOther)
	}
	b.until(page, "Send again 2 lines")
	v.once(t)
	if n := v.sum(); n != 300 {
		t.Errorf("%d PUTs for 300 lines", n)
	}
	if got := v.trait("u299", "Plan"); got != "gold; 299" {
		t.Errorf("LogRocket has %v", got)
	}
	result := b.get(page + "/result.csv").body
	if strings.Count(result, ",sent,") != 298 || !strings.Contains(result, "19,u17,failed,") || !strings.Contains(result, "called too often") {
		t.Errorf("result:\n%s", result)
	}
	// History tells of the whole once, the customer's page of their edit.
	if h := b.get("/o/acme/history?kind=trait").body; strings.Count(h, "bulk edit 1") < 2 || strings.Contains(h, "Edited") {
		t.Errorf("history:\n%s", h)
	}
	_, edit, _ := strings.Cut(b.get(page+"?lines=sent").body, `href="/o/acme/customers/`)
	edit, _, _ = strings.Cut(edit, `"`)
	b.get("/o/acme/customers/"+edit).wants(t, http.StatusOK, "ticket 7", "Plan", "gold; 0")

	// Only a person has it sent again, and only what failed.
	v.mu.Lock()
	v.fail = nil
	v.mu.Unlock()
	b.post(page+"/again").wants(t, http.StatusSeeOther)
	b.until(page, "Undo: see")
	if n := v.sum(); n != 302 || v.trait("u17", "Seats") != "17" {
		t.Errorf("%d PUTs after the second try, u17 has %v", n, v.trait("u17", "Seats"))
	}
}

func TestBulkEditIsTakenBack(t *testing.T) {
	v, s := newUserKeeper(t)
	b := s.as(t, "support@example.com")
	run := func(file string) string {
		page := b.uploaded([]byte(file))
		b.planned(page)
		b.post(page+"/send", "rate", "20").wants(t, http.StatusSeeOther)
		b.until(page, "Undo: see")
		return page
	}
	// The first makes LogRocket known; of it nothing can be taken back.
	first := run("id,plan\nada,free\ngrace,free\nlinus,free\n")
	second := run("id,plan,seats\nada,gold,5\ngrace,gold,6\n")
	if v.trait("ada", "plan") != "gold" || v.trait("ada", "seats") != "5" {
		t.Fatalf("ada: %v", v.traits("ada"))
	}
	// Grace is changed again before the undo.
	run("id,plan\ngrace,silver\n")

	token := services.NewFormToken()
	undo := b.post(second+"/undo", "token", token)
	if again := b.post(second+"/undo", "token", token); again.location != undo.location {
		t.Errorf("a double click made two undos")
	}
	b.until(undo.location, "Nothing has been sent yet.").wants(t, http.StatusOK,
		"Send 2 lines", "because it was changed again since: “plan”", "Takes back bulk edit 2")
	b.post(undo.location+"/send", "rate", "20", "reason", "wrong file").wants(t, http.StatusSeeOther)
	b.until(undo.location, "Undo: see")
	if v.trait("ada", "plan") != "free" || v.trait("ada", "seats") != nil || v.trait("grace", "plan") != "silver" || v.trait("grace", "seats") != nil {
		t.Errorf("after the undo: ada %v, grace %v", v.traits("ada"), v.traits("grace"))
	}
	undo = b.post(first + "/undo")
	b.until(undo.location, "Nothing has been sent yet.").wants(t, http.StatusOK, "it is not known what LogRocket had before: “plan”")
	b.post(undo.location+"/send", "rate", "20").wants(t, http.StatusUnprocessableEntity, "there is nothing to send")
}

func TestBulkFaultsAreNamedByLine(t *testing.T) {
	v, s := newUserKeeper(t)
	b := s.as(t, "support@example.com")
	file := strings.Join([]string{
		"id,plan,note,email",                 // 1
		"ada,gold,fine,ada@example.com",      // 2
		"ada,silver,,",                       // 3 double
		",gold,,",                            // 4 no id
		"grace,=HYPERLINK(\"x\"),,",          // 5 a bare quote
		`grace,"=HYPERLINK(""http://x"")",,`, // 6 formula
		"h1,+1,,",                            // 7 formula
		"h2,@x,,",                            // 8 formula
		"h3,-5,,",                            // 9 a number
		"h4," + strings.Repeat("é", 1025) + ",,", // 10 too long
		"h5,gold",             // 11 ragged
		"h6,\"two\nlines\",,", // 12 and 13
		"h7,gold,,nobody",     // 14 no email
		"h8,,,",               // 15 nothing
		"..,gold,,",           // 16 dots
		"h9," + strings.Repeat("é", 1024) + ",,x@y.test", // 17
		`h10,"open,,`, // 18 to the end
	}, "\n")
	page := b.uploaded([]byte(file))
	b.planned(page).wants(t, http.StatusOK, "Send 4 lines")
	faults := b.get(page + "/faults.csv").body
	for _, want := range []string{
		"3,ada,Line 2 is about “ada” already", "4,,The user id is empty.", "5,,A quote stands inside a cell",
		`6,grace,"“=HYPERLINK`, "7,h1,“+1” in column 2 looks like a formula", "8,h2,“@x”", "10,h4,The value of “plan” has 1025 characters",
		"11,,\"The line has 2 cells, not 4", "14,h7,“nobody” is no email address.", "16,..,LogRocket cannot be asked", "18,,A quote",
	} {
		if !strings.Contains(faults, want) {
			t.Errorf("the faults lack %q", want)
		}
	}
	if strings.Contains(faults, "\n9,") || strings.Contains(faults, "\n12,") || strings.Contains(faults, "\n17,") {
		t.Error("good lines are faults")
	}
	if t.Failed() {
		t.Log(faults)
	}
	// Formulas are sent as text if the person says so; blanks remove if they do.
	b.planned(page, "formulas", "1", "blank", "remove").wants(t, http.StatusOK, "Send 8 lines", "removed")
	b.post(page+"/send", "rate", "20").wants(t, http.StatusSeeOther)
	b.until(page, "Undo: see")
	if v.trait("grace", "plan") != `=HYPERLINK("http://x")` || v.trait("h1", "plan") != "+1" {
		t.Errorf("LogRocket has %v and %v", v.traits("grace"), v.traits("h1"))
	}
	v.once(t)
}

func TestBulkFilesOfEveryKind(t *testing.T) {
	_, s := newUserKeeper(t)
	b := s.as(t, "support@example.com")
	utf16 := []byte{0xff, 0xfe}
	for _, r := range "id\tcity\r\nu1\tKöln\r\n" {
		utf16 = append(utf16, byte(r), byte(r>>8))
	}
	tests := []struct {
		name  string
		file  []byte
		says  []string
		lines int
	}{
		{"utf-16", utf16, []string{"UTF-16, little endian", "tab between cells", "Köln"}, 1},
		{"windows-1252", []byte("id;city\nu1;K\xf6ln\n"), []string{"Windows-1252", "A guess", "Köln"}, 1},
		{"old mac", []byte("id,city\ru1,Bern\ru2,Rome\r"), []string{"old Mac", "Bern"}, 2},
		{"no header", []byte("7,Bern\n8,Rome\n"), []string{"data already", "Column 1", "Bern"}, 0},
		{"bars", []byte("id|city\nu1|a,b;c\n"), []string{"bar (|)", "a,b;c"}, 1},
		{"quoted separators", []byte("id,city\nu1,\"a;b;c;d\"\nu2,\"e;f;g;h\"\n"), []string{"comma between", "a;b;c;d"}, 2},
		{"without a last line end", []byte("id,city\nu1,Bern"), []string{"UTF-8", "Bern"}, 1},
	}
	for _, tt := range tests {
		page := b.uploaded(tt.file)
		b.get(page+"/columns").wants(t, http.StatusOK, tt.says...)
		if tt.lines > 0 {
			b.planned(page).wants(t, http.StatusOK, fmt.Sprintf("Send %d line", tt.lines))
		} else {
			b.planned(page, "column-0", "id", "column-1", "trait", "key-1", "city").wants(t, http.StatusOK, "Send 2 lines")
		}
		b.post(page+"/cancel").wants(t, http.StatusSeeOther)
	}
	// The guess is corrected by hand.
	page := b.uploaded([]byte("id,city\nu1,a;b\n"))
	form := b.get(page+"/columns").fields(t, page+"/columns")
	form.Set("step", "reread")
	form.Set("separator", ";")
	b.send(page+"/columns", form).wants(t, http.StatusOK, "id,city")

	for name, bad := range map[string][]byte{
		"empty": nil, "a workbook": []byte("PK\x03\x04rest"), "no text": []byte("id,a\x00b\n"), "only line ends": []byte("\n\n"),
		"too wide": []byte(strings.Repeat("a,", 200) + "\n"),
	} {
		if a := b.upload(bulkAt, services.NewFormToken(), "x.csv", bad); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "Nothing was stored.") {
			t.Errorf("%s: %d\n%s", name, a.status, a.body)
		}
	}
	b.upload(bulkAt, services.NewFormToken(), "", nil).wants(t, http.StatusUnprocessableEntity, "Choose a file.")
	// Columns that mean nothing, or the same twice.
	page = b.uploaded([]byte("a,b,b\nu1,1,2\n"))
	form = b.get(page+"/columns").fields(t, page+"/columns")
	form.Set("step", "plan")
	b.send(page+"/columns", form).wants(t, http.StatusUnprocessableEntity, "Say which column holds the user id")
	form.Set("column-0", "id")
	for i, key := range []string{"key-1", "key-2"} {
		form.Set(key, "b")
		form.Set(fmt.Sprintf("column-%d", i+1), "trait")
	}
	b.send(page+"/columns", form).wants(t, http.StatusUnprocessableEntity, "Column 2 sets the same already")
}

func TestBulkEmailsLeadToUsers(t *testing.T) {
	v, s := newUserKeeper(t)
	b := s.as(t, "support@example.com")
	page := b.uploaded([]byte("id,email\nu1,ada@example.com\nu2,grace@example.com\nu3,grace@example.com\n"))
	b.planned(page)
	b.post(page+"/send", "rate", "20").wants(t, http.StatusSeeOther)
	b.until(page, "Undo: see")
	page = b.uploaded([]byte("email,plan\nAda@Example.com,gold\ngrace@example.com,gold\nnobody@example.com,gold\nx,gold\n,gold\n"))
	b.planned(page).wants(t, http.StatusOK, "Send 1 line", "leads to several LogRocket users: u2, u3", "No LogRocket user id is known here for “nobody@example.com”", "“x” is no email address", "The email is empty")
	b.post(page+"/send", "rate", "20").wants(t, http.StatusSeeOther)
	b.until(page, "Undo: see")
	if v.trait("u1", "plan") != "gold" {
		t.Errorf("LogRocket has %v", v.traits("u1"))
	}
}

func TestBulkEditPausesWhenLogRocketIsGone(t *testing.T) {
	v, s := newUserKeeper(t)
	b := s.as(t, "support@example.com")
	var file strings.Builder
	file.WriteString("id,plan\n")
	for i := range 60 {
		fmt.Fprintf(&file, "u%d,gold\n", i)
	}
	dead := true
	v.fail = func(_ string, nth int) (int, string) {
		if nth > 20 && dead {
			return http.StatusBadGateway, ""
		}
		return 0, ""
	}
	page := b.uploaded([]byte(file.String()))
	b.planned(page)
	b.post(page+"/send", "rate", "20").wants(t, http.StatusSeeOther)
	b.until(page, "3 lines in a row failed").wants(t, http.StatusOK, "Go on", "Perhaps sent")
	if n := v.sum(); n != 23 {
		t.Errorf("%d PUTs, want 20 and 3", n)
	}
	v.mu.Lock()
	dead = false
	v.mu.Unlock()
	b.post(page+"/resume").wants(t, http.StatusSeeOther)
	b.until(page, "Send again 3 lines")
	v.once(t)
	// Somebody edits a user between the dry run and the sending.
	page = b.uploaded([]byte("id,plan\nu1,silver\nu2,silver\n"))
	b.planned(page)
	between := b.uploaded([]byte("id,plan\nu1,bronze\n"))
	b.planned(between)
	b.post(between+"/send", "rate", "20").wants(t, http.StatusSeeOther)
	b.until(between, "Undo: see")
	b.post(page+"/send", "rate", "20").wants(t, http.StatusSeeOther)
	b.until(page, "was edited after the dry run", "Undo: see")
	if v.trait("u1", "plan") != "bronze" || v.trait("u2", "plan") != "silver" {
		t.Errorf("u1 %v, u2 %v", v.traits("u1"), v.traits("u2"))
	}
}

func TestBulkEditIsPausedAndCancelled(t *testing.T) {
	v, s := newUserKeeper(t)
	b := s.as(t, "support@example.com")
	hold := make(chan struct{})
	v.fail = func(_ string, nth int) (int, string) {
		if nth == 5 {
			v.mu.Unlock()
			<-hold
			v.mu.Lock()
		}
		return 0, ""
	}
	page := b.uploaded([]byte("id,plan\n" + strings.Repeat("uX,gold\n", 1) + "u1,g\nu2,g\nu3,g\nu4,g\nu5,g\nu6,g\nu7,g\nu8,g\n"))
	b.planned(page)
	b.post(page+"/send", "rate", "20").wants(t, http.StatusSeeOther)
	for v.sum() < 5 {
		time.Sleep(5 * time.Millisecond)
	}
	b.post(page+"/pause").wants(t, http.StatusSeeOther)
	// The line on its way is ended, and no other begun.
	close(hold)
	b.until(page, "Paused by support@example.com").wants(t, http.StatusOK, "Go on")
	b.until(page+"?lines=sent", "5 lines")
	if n := v.sum(); n != 5 {
		t.Errorf("%d PUTs after the pause", n)
	}
	b.post(page+"/cancel").wants(t, http.StatusSeeOther)
	b.until(page, "Cancelled")
	if n := v.sum(); n != 5 {
		t.Errorf("%d PUTs after the cancellation", n)
	}
	v.once(t)
	viewer := s.as(t, "viewer@example.com")
	viewer.get(page).wants(t, http.StatusOK, "Cancelled")
	viewer.get(page+"/result.csv").wants(t, http.StatusOK, "not sent yet")
}

func TestForeignBulkEditsAreNotFound(t *testing.T) {
	v, s := newUserKeeper(t)
	b := s.as(t, "support@example.com")
	page := b.uploaded([]byte("id,plan\nada,gold\n"))
	b.planned(page)
	other, err := s.services.People.AddOrganization(t.Context(), "other", "Other")
	if err != nil {
		t.Fatal(err)
	}
	s.member(t, other, "stranger@example.com", services.Owner)
	x := s.as(t, "stranger@example.com")
	theirs := strings.Replace(page, "/o/acme/", "/o/other/", 1)
	for _, path := range []string{"", "/columns", "/faults.csv", "/result.csv"} {
		x.get(theirs+path).wants(t, http.StatusNotFound)
	}
	for _, path := range []string{"/columns", "/send", "/pause", "/resume", "/cancel", "/again", "/undo"} {
		x.post(theirs+path, "rate", "5", "step", "plan").wants(t, http.StatusNotFound)
	}
	x.upload("/o/other/traits/bulk", "t", "x.csv", []byte("id,plan\nada,gold\n")).wants(t, http.StatusNotFound)
	if n := v.sum(); n != 0 {
		t.Errorf("foreign ids made %d PUTs", n)
	}
	b.get(page).wants(t, http.StatusOK, "Send 1 line")
}
