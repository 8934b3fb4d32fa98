package db

// Row ids. Each is unique in the file, not only in its organization; 0 is none.
type (
	// OrgID is an organization's.
	OrgID int64
	// UserID is a user's; 0 is nobody in particular (a job, the command line).
	UserID int64
	// ConnectionID is a connection's.
	ConnectionID int64
	// CallID is a call's in the ledger.
	CallID int64
	// AskID is an ask's.
	AskID int64
	// CustomerID is a customer's.
	CustomerID int64
	// SessionID is a session's in the mirror, not the vendor's.
	SessionID int64
	// SearchID is a session search's.
	SearchID int64
	// PageID is a page's.
	PageID int64
	// ErrorGroupID is the row of a group of errors, not the vendor's group id.
	ErrorGroupID int64
	// SyncWalkID is a walk's through a stretch of a vendor's sessions.
	SyncWalkID int64
	// DetailRunID is a run's that fetches the details of sessions.
	DetailRunID int64
	// HighlightID is a highlight's, not the vendor's request id.
	HighlightID int64
	// LogRocketUserID is the row of a LogRocket user, not the vendor's user id.
	LogRocketUserID int64
	// TraitEditID is a trait edit's.
	TraitEditID int64
	// BulkID is a bulk edit's.
	BulkID int64
	// BatchID is that of a batch of highlights.
	BatchID int64
	// AlertID is an issue alert's.
	AlertID int64
	// AuditEntryID is an entry's of LogRocket's audit log.
	AuditEntryID int64
	// GraphQLRunID is a run's of a GraphQL query.
	GraphQLRunID int64
	// SavedQueryID is a saved GraphQL query's.
	SavedQueryID int64
	// ExportFileID is an export file's.
	ExportFileID int64
	// QueryFormID is that of a form that asks a saved query.
	QueryFormID int64
	// ScheduleID is that of a schedule that asks a saved query.
	ScheduleID int64
	// RecordingID is the row of a recording, not the vendor's recording id.
	RecordingID int64
	// EventTextID is that of a text that recordings are searched by.
	EventTextID int64
	// HistoryID is a history entry's.
	HistoryID int64
	// ViewID is a saved view's.
	ViewID int64
	// InvitationID is an invitation's.
	InvitationID int64
)
