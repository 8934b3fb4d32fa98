package db

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// IdentityKind says what an identity's value is.
type IdentityKind string

// The kinds of identities. An email and a name mean the same everywhere; an id
// means something only on its connection.
const (
	IdentityEmail            IdentityKind = "email"
	IdentityName             IdentityKind = "name"
	IdentityRaygunIdentifier IdentityKind = "raygun_identifier" // what the site gave Raygun's SDK
	IdentityRaygunUser       IdentityKind = "raygun_user"       // Raygun's own number
	IdentityLogRocketUser    IdentityKind = "logrocket_user"    // what the site gave LogRocket's SDK
)

// MaxIdentity is the most characters of an email, name or id that are kept as
// they are; LogRocket has the same limit. See [CutIdentity].
const MaxIdentity = 1024

// Normalize is the form in which emails, names and ids are compared and
// searched: NFC, trimmed, lower case, without control characters.
func Normalize(s string) string {
	return strings.ToLower(CleanText(s))
}

// CleanText makes a vendor's or a person's text fit to be stored and compared:
// valid UTF-8 in NFC, trimmed, without control characters such as NUL, which
// SQLite's text functions stop at.
func CleanText(s string) string {
	if printable(s) { // most texts are, and each pass over them costs
		return strings.TrimSpace(s)
	}
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(norm.NFC.String(s))
}

// printable says whether a text is nothing but printable ASCII.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// LooksLikeEmail says whether text is one bare email address, so that an
// identifier can stand in for a missing email.
func LooksLikeEmail(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || len(s) > 254 || !strings.Contains(s[at:], ".") {
		return false
	}
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}

// CutIdentity bounds a value. What is longer than MaxIdentity characters ends
// in a part of its hash instead, so that two long ids with the same beginning
// do not become one person.
func CutIdentity(s string) string {
	if len(s) <= MaxIdentity || utf8.RuneCountInString(s) <= MaxIdentity {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return string([]rune(s)[:MaxIdentity-17]) + "…" + hex.EncodeToString(sum[:8])
}

// Identity is one email, name or id that a customer was seen with.
type Identity struct {
	ID         int64
	Customer   CustomerID
	Kind       IdentityKind
	Connection ConnectionID // 0 for emails and names
	Value      string       // as last written
	FirstSeen  time.Time    // zero if no vendor ever named it
	LastSeen   time.Time
}

// Sighting is what a vendor's answer or a member's request says about who a
// person is. Every field but the ones that name the person may be empty.
type Sighting struct {
	Connection       ConnectionID // where the ids below mean something
	Email            string
	Name             string
	RaygunUser       string
	RaygunIdentifier string
	LogRocketUser    string
	// Anonymous is Raygun's flag. Without an email it means that the ids name a
	// browser and not a person, and no customer is made.
	Anonymous bool
	// Partial says that RaygunUser is all that the vendor told: it leads to a
	// customer who is known by it, and makes none.
	Partial bool
	// SeenAt is when the person was last on the site, and Since when first, if
	// that is known apart. SeenAt is zero where a member only wrote about them
	// (a trait edit): that makes nobody "seen".
	SeenAt, Since time.Time
}

// id is one vendor id of a sighting.
type vendorID struct {
	kind  IdentityKind
	value string
}

// clean returns the sighting as it is stored, and its vendor ids in the order
// in which they are trusted: what the site itself said comes first.
func (s Sighting) clean() (Sighting, []vendorID) {
	for _, p := range []*string{&s.Email, &s.Name, &s.RaygunUser, &s.RaygunIdentifier, &s.LogRocketUser} {
		*p = CutIdentity(CleanText(*p))
	}
	if s.RaygunUser == "0" { // an absent number
		s.RaygunUser = ""
	}
	if s.Since.IsZero() || s.Since.After(s.SeenAt) {
		s.Since = s.SeenAt
	}
	for _, id := range []string{s.RaygunIdentifier, s.LogRocketUser} {
		if s.Email == "" && LooksLikeEmail(id) {
			s.Email = id
		}
	}
	var ids []vendorID
	for _, id := range []vendorID{
		{IdentityRaygunIdentifier, s.RaygunIdentifier},
		{IdentityLogRocketUser, s.LogRocketUser},
		{IdentityRaygunUser, s.RaygunUser},
	} {
		if id.value != "" {
			ids = append(ids, id)
		}
	}
	return s, ids
}

// holders bounds how many customers with one and the same id are looked at: a
// site that calls all its guests "guest" must not make every row slower.
const holders = 100

// findCustomer finds whom a cleaned sighting is about, 0 if nobody is known by
// what it says.
func findCustomer(ctx context.Context, q querier, org OrgID, s Sighting, ids []vendorID) (CustomerID, error) {
	if s.Email != "" {
		id, err := findEmail(ctx, q, org, Normalize(s.Email))
		if id != 0 || err != nil {
			return id, err
		}
	}
	return findHolder(ctx, q, org, s, ids)
}

func foundCustomer(ctx context.Context, q querier, query string, args ...any) (CustomerID, error) {
	n, err := one(ctx, q, "customer", scanInt, query, args...)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	return CustomerID(n), err
}

// findEmail finds who has an email, 0 if nobody does.
func findEmail(ctx context.Context, q querier, org OrgID, norm string) (CustomerID, error) {
	return foundCustomer(ctx, q, `
		SELECT customer_id FROM identities
		WHERE org_id = ? AND value_norm = ? AND kind = 'email' AND connection_id = 0
		ORDER BY customer_id LIMIT 1`, org, norm)
}

// findHolder finds who has one of a sighting's ids, 0 if nobody does.
func findHolder(ctx context.Context, q querier, org OrgID, s Sighting, ids []vendorID) (CustomerID, error) {
	for _, v := range ids {
		var id CustomerID
		var err error
		if s.Email != "" {
			// Only a customer without an email may take this one. It is among
			// the oldest: nobody without an email is made beside a holder.
			id, err = foundCustomer(ctx, q, `
				SELECT customer_id FROM (
					SELECT customer_id FROM identities
					WHERE org_id = ? AND value_norm = ? AND kind = ? AND connection_id = ? AND value = ?
					ORDER BY customer_id LIMIT ?) AS h
				WHERE NOT EXISTS (SELECT 1 FROM identities e WHERE e.customer_id = h.customer_id AND e.kind = 'email')
				ORDER BY customer_id LIMIT 1`, org, Normalize(v.value), v.kind, s.Connection, v.value, holders)
		} else {
			id, err = foundCustomer(ctx, q, `
				SELECT customer_id FROM (
					SELECT customer_id, last_seen FROM identities
					WHERE org_id = ? AND value_norm = ? AND kind = ? AND connection_id = ? AND value = ?
					ORDER BY customer_id DESC LIMIT ?) AS h
				ORDER BY last_seen DESC, customer_id DESC LIMIT 1`, org, Normalize(v.value), v.kind, s.Connection, v.value, holders)
		}
		if id != 0 || err != nil {
			return id, err
		}
	}
	return 0, nil
}

// markAnswered notes that a vendor's answer named the sighting's values. Those
// that were never seen count as seen then: the vendor knows them, although the
// person was not on the site. It makes no customer seen.
func markAnswered(ctx context.Context, q querier, org OrgID, customer CustomerID, s Sighting, at time.Time) error {
	s, ids := s.clean()
	for _, v := range append(ids, vendorID{IdentityEmail, s.Email}, vendorID{IdentityName, s.Name}) {
		if v.value == "" {
			continue
		}
		key := v.key(customer, s.Connection)
		if _, err := exec(ctx, q, "identity", `
			UPDATE identities SET first_seen = ?8, last_seen = ?8
			WHERE org_id = ?1 AND value_norm = ?2 AND kind = ?3 AND connection_id = ?4 AND customer_id = ?5
				AND (?6 OR value = ?7) AND last_seen IS NULL`,
			org, key.norm, key.kind, key.conn, customer, v.plain(), v.value, ms(at)); err != nil {
			return err
		}
	}
	return nil
}

// How identities are listed.
const (
	identityColumns = "json_array(id, customer_id, kind, connection_id, value, first_seen, last_seen)"
	identityOrder   = "ORDER BY kind, last_seen DESC, id DESC LIMIT 200"
)

// Identities lists what a customer was seen with, at most 200: kind by kind,
// the last seen first.
func (o Org) Identities(ctx context.Context, customer CustomerID) ([]Identity, error) {
	text, err := one(ctx, o.db.r, "identities", scanText, `
		`+inLines+`
			SELECT `+identityColumns+` AS line FROM identities
			WHERE customer_id = ? AND org_id = ?
			`+identityOrder+`)`, customer, o.id)
	if err != nil {
		return nil, err
	}
	return readIdentities(text)
}

// readIdentities reads a line for each identity.
func readIdentities(text string) ([]Identity, error) {
	if text == "" {
		return nil, nil
	}
	out := make([]Identity, 0, 1+strings.Count(text, "\n"))
	var p packedRow
	var columns []any
	for line := range strings.SplitSeq(text, "\n") {
		out = append(out, Identity{})
		v := &out[len(out)-1]
		columns = append(columns[:0], &v.ID, &v.Customer, (*string)(&v.Kind), &v.Connection, &v.Value, (*stamp)(&v.FirstSeen), (*stamp)(&v.LastSeen))
		if err := p.read(line, columns); err != nil {
			return nil, wrap("identities", err)
		}
	}
	return out, nil
}

// Resolve finds or makes the customer that a sighting is about, as everything
// that stores one does inside its own transaction. It returns 0 where nothing
// names a person.
func (o Org) Resolve(ctx context.Context, s Sighting) (CustomerID, error) {
	var id CustomerID
	err := o.write(ctx, func(tx *sql.Tx) error {
		var err error
		id, err = resolveCustomer(ctx, tx, o.id, s)
		return err
	})
	return id, err
}
