package handlers_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestAQueryIsScheduledAndItsNumbersWatched(t *testing.T) {
	v, s := newWorkbench(t)
	answers := []string{
		`{"data":{"people":[{"email":"a@b.c","visits":3}]}}`, `{"data":{"people":[{"email":"a@b.c","visits":3},{"email":"d@e.f","visits":8}]}}`,
		`{"data":null,"errors":[{"message":"<b>no</b>"}]}`,
	}
	v.answer = func(string, map[string]any) (int, string) {
		text := answers[0]
		answers = answers[1:]
		return 200, text
	}
	b, viewer := s.as(t, "support@example.com"), s.as(t, "viewer@example.com")
	saved := b.saves("1", "People", "query P($since: String) { people { email visits } }")
	viewer.get(graphQLAt+"/schedules").wants(t, 200, "No schedules yet")
	form := b.get(saved+"/schedule").fields(t, saved+"/schedule")
	form.Set("at", "")
	form.Set("variables", `{"till": 1}`)
	b.send(saved+"/schedule", form).wants(t, 422, "Choose how often, and when.", "no variable $till")
	form.Set("every", "week")
	form.Set("weekday", "4")
	form.Set("at", "07:05")
	form.Set("variables", `{"since": "{{date-7d}}"}`)
	a := b.send(saved+"/schedule", form)
	path := a.location
	b.get(path).wants(t, 200, "every Friday at 07:05 UTC", "No numbers yet", "Nothing was asked yet", "support@example.com")
	b.get(path+"/edit").wants(t, 200, `value="07:05"`, `<option value="4" selected>`)

	run := func() answer {
		t.Helper()
		form := b.get(path).fields(t, path+"/run")
		first := b.send(path+"/run", form)
		if second := b.send(path+"/run", form); first.status != http.StatusSeeOther || second.status != http.StatusSeeOther {
			t.Fatalf("run: %d, %d", first.status, second.status)
		}
		return b.until(path, "answered")
	}
	run().wants(t, 200, "people: rows", "Two results make a trend")
	run().wants(t, 200, "+1", "Numbers: people: rows", "trend.csv?number=people%3A+rows")
	if n := v.count(); n != 2 {
		t.Errorf("%d were asked", n)
	}
	b.get(path+"?number=people:+sum+of+visits").wants(t, 200, "+8", ">11<", "Always show this number first")
	b.post(path+"/watch", "number", "people: largest visits").wants(t, 303)
	page := viewer.get(path)
	page.wants(t, 200, "+5", `<option value="people: largest visits" selected>`)
	if strings.Contains(page.body, "/run") && strings.Contains(page.body, "Run now") || strings.Contains(page.body, "/pause") {
		t.Error("a viewer is offered what takes the role support")
	}
	if file := viewer.get(path + "/trend.csv?number=people:+rows"); file.status != 200 || !regexp.MustCompile("\ufeffasked_for \\(UTC\\),state,number,value,errors\r\n(?s:.*)\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d,done,people: rows,2,0\r\n").MatchString(file.body) {
		t.Errorf("%d %q", file.status, file.body)
	}
	if file := viewer.get(path + "/trend.json"); file.status != 200 || !strings.Contains(file.body, `"number":"people: largest visits","value":8,"errors":0}`) {
		t.Errorf("%d %q", file.status, file.body)
	}
	run().wants(t, 200, "with 1 error and no data")

	b.post(path+"/pause").wants(t, 303)
	b.get(path).wants(t, 200, "Nothing is asked until somebody resumes it")
	s.as(t, "admin@example.com").post(path+"/resume").wants(t, 303)
	b.get(path).wants(t, 200, "admin@example.com")
	viewer.get(saved).wants(t, 200, "every Friday")
	viewer.get(graphQLAt+"/schedules").wants(t, 200, "People", "active")
	if a := b.post(path + "/delete"); a.status != http.StatusForbidden { // it is the admin's now
		t.Errorf("deleted by another: %d", a.status)
	}
	s.as(t, "admin@example.com").post(path+"/delete").wants(t, 303)
	b.get(path).wants(t, 404)
}
