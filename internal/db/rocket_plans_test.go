package db

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTraitsAndHighlightsNeverScan looks at the plan of every query that lists
// trait edits and highlights or looks for open ones.
func TestTraitsAndHighlightsNeverScan(t *testing.T) {
	d, err := Open(t.Context(), filepath.Join(t.TempDir(), "sightline.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	filtered := func(f HighlightFilter) func() (string, []any) {
		return func() (string, []any) { return highlightsQuery(1, f) }
	}
	exports := func(f ExportFilter) func() (string, []any) {
		return func() (string, []any) { return exportFilesQuery(1, f) }
	}
	audit := func(f AuditFilter) func() (string, []any) { return func() (string, []any) { return auditQuery(1, f) } }
	later := Moment{time.Now(), 3}
	plain := func(q string, args ...any) func() (string, []any) { return func() (string, []any) { return q, args } }
	tests := map[string]struct {
		query func() (string, []any)
		index string
	}{
		"newest highlights":          {filtered(HighlightFilter{}), "highlights_org"},
		"next page":                  {filtered(HighlightFilter{After: Moment{time.Now(), 3}}), "highlights_org"},
		"highlights of customer":     {filtered(HighlightFilter{Customer: 1}), "highlights_customer"},
		"results of customer":        {filtered(HighlightFilter{Customer: 1, State: "ready"}), "highlights_customer"},
		"all of customer":            {filtered(HighlightFilter{Customer: 1, State: "ready", Author: 1, Connection: 1, After: Moment{time.Now(), 3}}), "highlights_customer"},
		"failures of author":         {filtered(HighlightFilter{Author: 1, State: "failed"}), "highlights_author"},
		"highlights in state":        {filtered(HighlightFilter{State: "ready"}), "highlights_state"},
		"next page in state":         {filtered(HighlightFilter{State: "ready", After: Moment{time.Now(), 3}}), "highlights_state"},
		"highlights of author":       {filtered(HighlightFilter{Author: 1}), "highlights_author"},
		"highlights of connection":   {filtered(HighlightFilter{Connection: 1}), "highlights_connection"},
		"words of highlights":        {func() (string, []any) { return searchHighlightsQuery(1, HighlightFilter{State: "ready"}, `"a"`, 9) }, "f VIRTUAL TABLE INDEX 192:M0><"},
		"open highlights":            {plain(openHighlightsQuery), "highlights_open"},
		"hooked highlight":           {plain(hookedHighlightQuery, []byte{1}), "highlights_hook"},
		"unlinked highlights":        {plain(linkHighlightsQuery, 1, 1, "a", "email", 1, "a"), "highlights_unlinked"},
		"newest alerts":              {func() (string, []any) { return alertsQuery(1, 0, Moment{}, 10) }, "alerts_org"},
		"next alerts":                {func() (string, []any) { return alertsQuery(1, 0, Moment{time.Now(), 3}, 10) }, "alerts_org"},
		"alerts of connection":       {func() (string, []any) { return alertsQuery(1, 1, Moment{time.Now(), 3}, 10) }, "alerts_connection"},
		"oldest alert":               {plain(oldestAlertQuery, 1, 1, 10), "alerts_connection"},
		"address for alerts":         {plain(alertHookQuery, []byte{1}), "alert_hooks_token"},
		"edits of customer":          {plain(customerEditsQuery, 1, 1, 1, 1, 1, 10), "trait_edits_customer"},
		"open edits":                 {plain(openTraitEditsQuery), "trait_edits_open"},
		"users of customer":          {plain(customerUsersQuery, 1, 1), "logrocket_users_customer"},
		"newest edit of the user":    {plain(customerUsersQuery, 1, 1), "trait_edits_user"},
		"traits of user":             {plain(traitsQuery, 1, 1), "PRIMARY KEY"},
		"history of a trait":         {plain(fieldHistoryQuery, 1, "trait", "plan", 9, 1, 10), "trait_changes_field"},
		"known trait keys":           {plain(traitKeysQuery, 1, 1, 10), "trait_keys_recent"},
		"newest export files":        {exports(ExportFilter{}), "export_files_org (org_id=?)"},
		"next export files":          {exports(ExportFilter{Before: 9}), "export_files_org (org_id=? AND id<?)"},
		"files of a connection":      {exports(ExportFilter{Connection: 1, Before: 9}), "export_files_connection (connection_id=? AND id<?)"},
		"files in trouble":           {exports(ExportFilter{Trouble: true, Before: 9}), "export_files_trouble (org_id=? AND id<?)"},
		"newest audit entries":       {audit(AuditFilter{}), "SEARCH e USING INDEX audit_entries_org (org_id=?)"},
		"next audit entries":         {audit(AuditFilter{After: later}), "SEARCH e USING INDEX audit_entries_org (org_id=? AND at<?)"},
		"audit entries of days":      {audit(AuditFilter{From: time.Now(), Until: time.Now()}), "audit_entries_org (org_id=? AND at>? AND at<?)"},
		"audit entries of somebody":  {audit(AuditFilter{Who: "a", After: later}), "audit_entries_who (org_id=? AND who_norm=? AND at<?)"},
		"audit entries of an action": {audit(AuditFilter{Action: "a", After: later}), "audit_entries_action (org_id=? AND action=? AND at<?)"},
		"audit entries of a deed":    {audit(AuditFilter{Who: "a", Action: "a", Connection: 1}), "audit_entries_deeds (org_id=? AND who_norm=? AND action=?)"},
		"audit of a connection":      {audit(AuditFilter{Connection: 1, After: later}), "audit_entries_connection (connection_id=? AND at<?)"},
		"audit of a recording":       {audit(AuditFilter{Recording: "6-x", Session: "0", After: later}), "audit_entries_recording (org_id=? AND recording_id=? AND at<?)"},
		"oldest audit entry":         {plain(auditOldestQuery, 1, 1), "audit_entries_connection (connection_id=?)"},
		"who is in the audit log":    {plain(auditWhoQuery, 1, 9), "COVERING INDEX audit_entries_who (org_id=? AND who_norm>?)"},
		"actions of the audit log":   {plain(auditActionsQuery, 1, 9), "COVERING INDEX audit_entries_action (org_id=? AND action>?)"},
	}
	for name, tt := range tests {
		q, args := tt.query()
		plan := planOf(t, d, q, args...)
		// The few that are open may be put in order, nothing else.
		if !strings.Contains(plan, tt.index) || strings.Contains(plan, "SCAN h\n") || strings.Contains(plan, "SCAN e\n") || strings.Contains(plan, "TEMP B-TREE") && !strings.HasPrefix(name, "open") {
			t.Errorf("%s does not go by %s alone:\n%s", name, tt.index, plan)
		}
	}
}
