package services

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"sightline/internal/db"
)

// How long a browser stays signed in.
const (
	SessionIdle     = 12 * time.Hour      // without a request
	SessionAbsolute = 14 * 24 * time.Hour // in any case
)

// MinPassword is the least number of characters in a password.
const MinPassword = 10

// maxPassword bounds the work that a stranger can make argon2id do.
const maxPassword = 200

// metaSetupToken holds the SHA-256 of the one-time setup token.
const metaSetupToken = "setup_token"

// People knows who may sign in and what they may do.
type People struct {
	db  *db.DB
	now func() time.Time
	// decoy is a hash that no password has: checking against it makes an
	// unknown account take as long as a wrong password.
	decoy  string
	params *argon2id.Params
	// hashing bounds how many passwords are hashed at once: each takes 19 MiB,
	// and whoever asks for many at a time is a stranger.
	hashing chan struct{}
}

// Membership is one organization that a person belongs to.
type Membership struct {
	Org     OrgID
	OrgSlug string
	OrgName string
	Role    Role
}

// User is a person who can sign in.
type User struct {
	ID    UserID
	Email string
	Name  string
}

// Organization is a tenant.
type Organization struct {
	ID   OrgID
	Slug string
	Name string
}

// NewPeople returns the service. The memory that the hash of a password takes is
// in KiB; zero means 19 MiB, and nothing but a test should say less.
func NewPeople(d *db.DB, now func() time.Time, passwordMemory uint32) *People {
	// OWASP's second choice for argon2id: 19 MiB, two passes, one lane. On a
	// small machine several people can sign in at once without hurting.
	params := &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}
	if passwordMemory > 0 {
		params.Memory = passwordMemory
	}
	return &People{db: d, now: now, decoy: decoyHash(params), params: params, hashing: make(chan struct{}, max(2, runtime.NumCPU()))}
}

// hash makes the hash of a new password, in its turn.
func (p *People) hash(ctx context.Context, password string) (string, error) {
	if err := p.takeTurn(ctx); err != nil {
		return "", err
	}
	defer func() { <-p.hashing }()
	return argon2id.CreateHash(password, p.params)
}

// matches says whether a password has a hash, in its turn.
func (p *People) matches(ctx context.Context, password, hash string) (bool, error) {
	if err := p.takeTurn(ctx); err != nil {
		return false, err
	}
	defer func() { <-p.hashing }()
	return argon2id.ComparePasswordAndHash(password, hash)
}

// takeTurn waits until a password may be hashed; the turn is given back by
// receiving from hashing.
func (p *People) takeTurn(ctx context.Context) error {
	select {
	case p.hashing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// decoyHash is made up instead of computed: random bytes are as good as the
// hash of a random password, and cost a start nothing.
func decoyHash(p *argon2id.Params) string {
	b := make([]byte, p.SaltLength+p.KeyLength)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	e := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.Memory, p.Iterations, p.Parallelism,
		e.EncodeToString(b[:p.SaltLength]), e.EncodeToString(b[p.SaltLength:]))
}

// randomToken is 256 bits of randomness that can stand in an address.
func randomToken() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// NewFormToken returns the token that makes a form count once, however often
// its button is pressed.
func NewFormToken() string { return randomToken() }

// NormalizeEmail is the form in which emails are compared: trimmed, NFC,
// lower case. It does not check that the text is an email.
func NormalizeEmail(s string) string { return db.Normalize(s) }

// checkEmail says whether text is one bare email address.
func checkEmail(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && len(s) <= 254
}

// checkPassword says what is wrong with a new password, "" if nothing is.
func checkPassword(s string) string {
	switch {
	case utf8.RuneCountInString(s) < MinPassword:
		return fmt.Sprintf("Use at least %d characters; a few words are fine.", MinPassword)
	case len(s) > maxPassword:
		return fmt.Sprintf("Use at most %d characters.", maxPassword)
	}
	return ""
}

// SetupLink makes a new one-time setup token and forgets the one before; ok is
// false when somebody can sign in already, so that no setup is open.
func (p *People) SetupLink(ctx context.Context) (token string, ok bool, err error) {
	any, err := p.db.AnyUserUnscoped(ctx)
	if err != nil || any {
		return "", false, err
	}
	token = randomToken()
	sum := sha256.Sum256([]byte(token))
	if err := p.db.SetMetaUnscoped(ctx, metaSetupToken, sum[:], p.now()); err != nil {
		return "", false, err
	}
	return token, true, nil
}

// SetupOpen reports whether the token opens the setup page.
func (p *People) SetupOpen(ctx context.Context, token string) (bool, error) {
	any, err := p.db.AnyUserUnscoped(ctx)
	if err != nil || any {
		return false, err
	}
	want, err := p.db.MetaUnscoped(ctx, metaSetupToken)
	if errors.Is(err, db.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], want) == 1, nil
}

// NewOwner is what the setup page asks for.
type NewOwner struct {
	Email, Name, Password, OrgName string
}

// Problems are the faults of a form by field name; empty means none.
type Problems map[string]string

// First is the sentence about one of several faults, always the same one: for
// where there is room for one message and no form. Empty means no fault.
func (p Problems) First() string {
	if len(p) == 0 {
		return ""
	}
	return p[slices.Min(slices.Collect(maps.Keys(p)))]
}

// Setup makes the first owner and their organization. Faults that the person
// can correct come back as problems. The token counts once.
func (p *People) Setup(ctx context.Context, token string, o NewOwner) (User, Problems, error) {
	open, err := p.SetupOpen(ctx, token)
	if err != nil {
		return User{}, nil, err
	}
	if !open {
		return User{}, nil, &Error{Kind: NotFound, Msg: "This setup link is used up or was replaced by a newer one. Restart Sightline to print a new one, or sign in."}
	}
	o.Email, o.Name, o.OrgName = strings.TrimSpace(o.Email), strings.TrimSpace(o.Name), strings.TrimSpace(o.OrgName)
	problems := Problems{}
	if !checkEmail(o.Email) {
		problems["email"] = "Give an email address such as ada@example.com."
	}
	if msg := checkPassword(o.Password); msg != "" {
		problems["password"] = msg
	}
	if o.OrgName == "" || utf8.RuneCountInString(o.OrgName) > 80 {
		problems["org"] = "Give your organization a name of 1 to 80 characters."
	}
	if len(problems) > 0 {
		return User{}, problems, nil
	}
	u, err := p.FirstOwner(ctx, o)
	if err != nil {
		return User{}, nil, err
	}
	if err := p.db.DeleteMetaUnscoped(ctx, metaSetupToken); err != nil {
		return User{}, nil, err
	}
	return u, nil, nil
}

// FirstOwner makes the first user and their organization, as setup does and as
// SIGHTLINE_ADMIN_EMAIL asks for. Once anybody can sign in it is a Conflict.
func (p *People) FirstOwner(ctx context.Context, o NewOwner) (User, error) {
	if !checkEmail(o.Email) {
		return User{}, invalid("%q is not an email address.", o.Email)
	}
	if msg := checkPassword(o.Password); msg != "" {
		return User{}, invalid("The password is not good enough. %s", msg)
	}
	hash, err := p.hash(ctx, o.Password)
	if err != nil {
		return User{}, fmt.Errorf("hash a password: %w", err)
	}
	u, err := p.db.AddFirstOwnerUnscoped(ctx, db.User{Email: o.Email, Name: o.Name, PasswordHash: hash, CreatedAt: p.now()},
		NormalizeEmail(o.Email), Slug(o.OrgName), o.OrgName)
	if errors.Is(err, db.ErrExists) {
		return User{}, &Error{Kind: Conflict, Msg: "Somebody has set Sightline up already. Sign in instead.", Err: err}
	}
	if err != nil {
		return User{}, fmt.Errorf("make the first owner: %w", err)
	}
	return User{ID: u.ID, Email: u.Email, Name: u.Name}, nil
}

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)

// Slug makes a name fit for an address: lower case letters, digits and single
// hyphens, at most 40, never empty.
func Slug(name string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ToLower(name)) {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
		}
	}
	s := strings.Trim(notSlug.ReplaceAllString(b.String(), "-"), "-")
	if len(s) > 40 {
		s = strings.TrimRight(s[:40], "-")
	}
	if s == "" {
		return "organization"
	}
	return s
}

// AddOrganization makes an organization. An empty slug is made from the name.
func (p *People) AddOrganization(ctx context.Context, slug, name string) (Organization, error) {
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > 80 {
		return Organization{}, invalid("Give the organization a name of 1 to 80 characters.")
	}
	if slug == "" {
		slug = Slug(name)
	}
	if slug != Slug(slug) {
		return Organization{}, invalid("The short name %q may hold lower case letters, digits and single hyphens, at most 40.", slug)
	}
	o, err := p.db.AddOrgUnscoped(ctx, slug, name, p.now())
	if errors.Is(err, db.ErrExists) {
		return Organization{}, &Error{Kind: Conflict, Msg: fmt.Sprintf("There is an organization %q already.", slug), Err: err}
	}
	if err != nil {
		return Organization{}, fmt.Errorf("add organization %q: %w", slug, err)
	}
	return Organization{ID: o.ID, Slug: o.Slug, Name: o.Name}, nil
}

// Organization finds an organization by its short name.
func (p *People) Organization(ctx context.Context, slug string) (Organization, error) {
	o, err := p.db.OrgBySlugUnscoped(ctx, slug)
	if err != nil {
		return Organization{}, notFound(err, fmt.Sprintf("There is no organization %q.", slug))
	}
	return Organization{ID: o.ID, Slug: o.Slug, Name: o.Name}, nil
}

// Organizations lists all organizations, for the command line alone.
func (p *People) Organizations(ctx context.Context) ([]Organization, error) {
	rows, err := p.db.OrgsUnscoped(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Organization, len(rows))
	for i, o := range rows {
		out[i] = Organization{ID: o.ID, Slug: o.Slug, Name: o.Name}
	}
	return out, nil
}

// AddMember makes a user, if need be, and gives them a role in an
// organization, as an operator does on the machine itself. For a user that
// exists the password and the name are ignored.
func (p *People) AddMember(ctx context.Context, org OrgID, u NewOwner, role Role) (User, error) {
	u.Email = strings.TrimSpace(u.Email)
	if !checkEmail(u.Email) {
		return User{}, invalid("%q is not an email address.", u.Email)
	}
	if role == NoRole {
		return User{}, invalid("The role is one of viewer, support, admin, owner.")
	}
	row, err := p.db.UserByEmailUnscoped(ctx, NormalizeEmail(u.Email))
	if errors.Is(err, db.ErrNotFound) {
		if msg := checkPassword(u.Password); msg != "" {
			return User{}, invalid("The password is not good enough. %s", msg)
		}
		hash, herr := p.hash(ctx, u.Password)
		if herr != nil {
			return User{}, fmt.Errorf("hash a password: %w", herr)
		}
		row, err = p.db.AddUserUnscoped(ctx, db.User{Email: u.Email, Name: strings.TrimSpace(u.Name), PasswordHash: hash, CreatedAt: p.now()}, NormalizeEmail(u.Email))
	}
	if err != nil {
		return User{}, fmt.Errorf("add a member: %w", err)
	}
	if err := p.db.Org(org).SetMember(ctx, row.ID, role.String(), p.now()); err != nil {
		return User{}, fmt.Errorf("give user %d a role: %w", row.ID, err)
	}
	by := CommandLine(org)
	err = p.db.Org(org).AddHistory(ctx, db.HistoryEntry{
		At: p.now(), ActorName: by.Name, Action: string(HistoryMembers) + ".set", Subject: row.Email,
		Summary: fmt.Sprintf("Gave %s the role %s", row.Email, role), After: historyFields(map[string]string{"Role": role.String()}),
	})
	if err != nil {
		return User{}, fmt.Errorf("note the role of user %d: %w", row.ID, err)
	}
	return User{ID: row.ID, Email: row.Email, Name: row.Name}, nil
}

// ResetPassword gives a user a new password and signs them out everywhere.
func (p *People) ResetPassword(ctx context.Context, email, password string) error {
	if msg := checkPassword(password); msg != "" {
		return invalid("The password is not good enough. %s", msg)
	}
	u, err := p.db.UserByEmailUnscoped(ctx, NormalizeEmail(email))
	if err != nil {
		return notFound(err, "Nobody signs in with that email.")
	}
	hash, err := p.hash(ctx, password)
	if err != nil {
		return fmt.Errorf("hash a password: %w", err)
	}
	return p.db.SetPasswordUnscoped(ctx, u.ID, hash)
}

// SignIn checks an email and a password. A wrong one is a Denied that does not
// say which of the two was wrong, and takes as long either way.
func (p *People) SignIn(ctx context.Context, email, password string) (User, error) {
	denied := &Error{Kind: Denied, Msg: "That email and password do not belong together."}
	u, err := p.db.UserByEmailUnscoped(ctx, NormalizeEmail(email))
	hash := u.PasswordHash
	switch {
	case errors.Is(err, db.ErrNotFound):
		hash = p.decoy
	case err != nil:
		return User{}, fmt.Errorf("find a user: %w", err)
	}
	if len(password) > maxPassword { // nobody's, and no longer work than any other
		password, hash = password[:maxPassword], p.decoy
	}
	ok, err := p.matches(ctx, password, hash)
	if err != nil {
		return User{}, fmt.Errorf("compare a password of user %d: %w", u.ID, err)
	}
	if !ok || u.ID == 0 {
		return User{}, denied
	}
	return User{ID: u.ID, Email: u.Email, Name: u.Name}, nil
}

// Memberships lists the organizations of a user by name.
func (p *People) Memberships(ctx context.Context, user UserID) ([]Membership, error) {
	_, out, err := p.Belongs(ctx, user)
	return out, err
}

// Belongs returns a user with the organizations they belong to, by name: what
// every page of theirs begins with, in one look. Who belongs to none comes back
// without a name.
func (p *People) Belongs(ctx context.Context, user UserID) (User, []Membership, error) {
	rows, err := p.db.MembershipsUnscoped(ctx, user)
	if err != nil {
		return User{}, nil, err
	}
	u := User{ID: user}
	out := make([]Membership, len(rows))
	for i, m := range rows {
		u.Email, u.Name = m.User.Email, m.User.Name
		out[i] = Membership{Org: m.Org.ID, OrgSlug: m.Org.Slug, OrgName: m.Org.Name, Role: ParseRole(m.Role)}
	}
	return u, out, nil
}

// User finds a user by id.
func (p *People) User(ctx context.Context, id UserID) (User, error) {
	u, err := p.db.UserUnscoped(ctx, id)
	if err != nil {
		return User{}, notFound(err, "There is no such user.")
	}
	return User{ID: u.ID, Email: u.Email, Name: u.Name}, nil
}
