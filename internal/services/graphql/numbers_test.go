package graphql

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnAnswerIsMeasured(t *testing.T) {
	d, problems := Parse(`{ total stats { errors id rate } people { id name visits score stays { ms } } tags none { x } }`)
	if d == nil {
		t.Fatal(problems)
	}
	o := d.Operations()[0]
	a, err := ReadAnswer(d, o, []byte(`{"data":{"total":12,"stats":{"errors":3,"id":77,"rate":null},"people":[
		{"id":1,"name":"a","visits":2,"score":-1.5,"stays":[{"ms":100},{"ms":50}]},{"id":2,"name":"b","visits":4,"score":null,"stays":[]}],"tags":["x"],"none":[]}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Measure{
		{"total", 12}, {"stats.errors", 3},
		{"people: rows", 2}, {"people: sum of visits", 6}, {"people: average of visits", 3}, {"people: smallest visits", 2}, {"people: largest visits", 4},
		{"people: sum of score", -1.5}, {"people: average of score", -1.5}, {"people: smallest score", -1.5}, {"people: largest score", -1.5},
		{"people.stays: rows", 2}, {"people.stays: sum of ms", 150}, {"people.stays: average of ms", 75}, {"people.stays: smallest ms", 50}, {"people.stays: largest ms", 100},
		{"none: rows", 0},
	}
	if diff := cmp.Diff(want, a.Measures(d, o)); diff != "" {
		t.Error(diff)
	}
	if got := (Answer{}).Measures(d, o); len(got) != 0 {
		t.Errorf("nothing has %v", got)
	}
}
