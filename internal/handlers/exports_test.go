package handlers_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sightline/internal/services/sandbox"
)

const filesAt = "/o/acme/exports/files"

func TestExportsAreFollowedThroughThePages(t *testing.T) {
	for _, d := range []sandbox.Dialect{sandbox.DialectContract, sandbox.DialectLive} {
		t.Run(string(d), func(t *testing.T) {
			r := newRocket(t, sandbox.Options{Dialect: d})
			b := r.as(t, "owner@example.com")
			b.get(filesAt).wants(t, 200, "Not followed", "Follow exports", "No files")
			form := b.get("/o/acme/exports/follow/1").fields(t, "/o/acme/exports/follow/1")
			for field, tt := range map[string]struct{ value, says string }{
				"from":      {"tomorrow", "Write the day as"},
				"max_file":  {"0", "Choose from 1 MB"},
				"quota":     {"-1", "whole number"},
				"keep_days": {"99999", "Choose 0 to"},
				"rate":      {"1", "or 0 for no limit"},

				"keep_recordings": {"-1", "whole number"},
			} {
				bad := cloneValues(form)
				bad.Set(field, tt.value)
				b.send("/o/acme/exports/follow/1", bad).wants(t, 422, tt.says, `value="`+tt.value+`"`)
			}
			form.Set("from", time.Now().UTC().AddDate(0, 0, -2).Format(time.DateOnly))
			b.send("/o/acme/exports/follow/1", form).wants(t, http.StatusSeeOther)
			page := b.until(filesAt, "All files are here", ">Read<")
			if strings.Contains(page.body, ">Failed<") {
				t.Error("a file of the stand-in failed")
			}
			file := regexp.MustCompile(filesAt + `/\d+`).FindString(page.body)
			b.until(file, "Followed", "Events", "Download")
			a := b.get(file + "/download")
			a.wants(t, 200)
			z, err := gzip.NewReader(strings.NewReader(a.body))
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(z); err != nil || !bytes.HasPrefix(text, []byte("{")) {
				t.Errorf("downloaded %.80q, %v", text, err)
			}
			b.post("/o/acme/exports/follow/1/pause").wants(t, http.StatusSeeOther)
			b.get(filesAt).wants(t, 200, "Paused. It goes on where it stopped.", "/follow/1/resume")
			b.post("/o/acme/exports/follow/1/look").wants(t, 422, "not followed")
			b.post("/o/acme/exports/follow/1/resume").wants(t, http.StatusSeeOther)
			b.until(filesAt, "All files are here")
			b.get("/o/acme/history?kind=export").wants(t, 200, "Switched following the exports of", "Paused following", "Resumed following")
		})
	}
}

func TestExportFilesAreUploadedThroughThePage(t *testing.T) {
	r := newRocket(t, sandbox.Options{})
	b := r.as(t, "owner@example.com")
	var lines bytes.Buffer
	for n := range 20 {
		fmt.Fprintf(&lines, `{"type":"lr.CustomEvent","time":%d,"name":"step %d"}`+"\n", time.Now().UnixMilli()+int64(n), n)
	}
	lines.WriteString("rotten\n")
	a := b.upload(filesAt, "", `C:\tmp\<b>six.jsonl`, lines.Bytes())
	a.wants(t, http.StatusSeeOther)
	b.until(a.location, "Uploaded by", ">Read<", "&lt;b&gt;six.jsonl")
	page := b.get(a.location)
	page.wants(t, 200, ">20<", ">21<", "rotten")
	again := b.upload(filesAt, "", "another.jsonl", lines.Bytes())
	again.wants(t, http.StatusSeeOther)
	if again.location != a.location {
		t.Errorf("the same file again leads to %s, not %s", again.location, a.location)
	}
	b.upload(filesAt, "", "empty.jsonl", nil).wants(t, 422, "The file is empty.")
	b.post(filesAt, "connection", "1").wants(t, 422)
	if d := b.get(a.location + "/download"); d.header.Get("Content-Disposition") != `attachment; filename="C__tmp__b_six.jsonl.gz"` && !strings.Contains(d.header.Get("Content-Disposition"), "_b_six.jsonl.gz") {
		t.Errorf("downloaded as %s", d.header.Get("Content-Disposition"))
	}
	b.post(a.location+"/cancel").wants(t, http.StatusSeeOther) // it was read: nothing to cancel
	b.get(a.location).wants(t, 200, ">Read<")
	b.get(filesAt+"/99").wants(t, 404)
	b.get(filesAt+"/99/download").wants(t, 404)
}

func cloneValues(v url.Values) url.Values {
	out := url.Values{}
	for k, list := range v {
		out[k] = slices.Clone(list)
	}
	return out
}
