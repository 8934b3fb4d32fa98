package sandbox

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"unicode"
)

// Customer is one made-up person with an account at the made-up company.
type Customer struct {
	RaygunID   int64  // Raygun's own id of the user
	FirstName  string // may be empty
	FullName   string // may be empty
	Email      string // may be empty; not always unique
	Identifier string // what the site told Raygun's SDK: the email, the user id, or something shared
	UserID     string // what the site told LogRocket's SDK; unique
	// Note says what this customer is good for when trying things out; empty for
	// all but the few that are easy to remember.
	Note string

	place   int // index into catalog.places
	devices [2]uint8
	index   int
}

// names holds first and last names that are used together, so that a person's
// name looks like one.
type names struct{ first, last []string }

func nameSets() []names {
	w := strings.Fields
	return []names{
		{w("James Olivia Noah Emma Liam Sophia Mason Ava Ethan Grace Henry Chloe Jack Ruby Oscar Nora Felix Hazel Miles Ivy"), w("Smith Johnson Brown Taylor Wilson Clark Walker Hall Young King Wright Scott Green Baker Adams Nelson Carter Mitchell Turner O'Brien")},
		{w("Lukas Hannah Jürgen Käthe Björn Anneliese Günther Sofie Matthias Änne"), w("Müller Schäfer Weiß Köhler Vogel Böhm Krüger Lange Groß Zimmermann")},
		{w("Chloé Théo Zoé Étienne Léa François Maëlle Jérôme Inès Noël"), w("Dubois Lefèvre Moreau Girard Bonnet Léger Marchand Gauthier Perrin Roche")},
		{w("João Beatriz Gonçalo Inês Thiago Luísa Caetano Íris Mateus Conceição"), w("Silva Souza Araújo Conceição Magalhães Pereira Gusmão Rocha Brandão Falcão")},
		{w("Aarav Priya Rohan Ananya Vikram Meera Arjun Kavya Dev Isha"), w("Sharma Patel Iyer Reddy Nair Gupta Rao Mehta Das Kapoor")},
		{w("陽菜 蓮 結衣 大翔 美咲 湊"), w("佐藤 鈴木 高橋 田中 渡辺 伊藤")},
		{w("Łukasz Agnieszka Paweł Małgorzata Zbigniew Żaneta"), w("Kowalski Wiśniewska Wójcik Dąbrowska Zając Król")},
		{w("Aroha Tāne Mere Nikau Hēmi Ngaio"), w("Ngata Parata Tūhoe Walker Rangi Māhuta")},
	}
}

// demoPeople are the customers that are easy to remember, each with a story.
func demoPeople() []Customer {
	return []Customer{
		{FirstName: "Ada", FullName: "Ada Lovelace", Email: "ada.lovelace@example.com", Identifier: "ada.lovelace@example.com", UserID: "usr_ada", place: 4, devices: [2]uint8{0, 6}, Note: "Payment fails again and again, today too."},
		{FirstName: "Grace", FullName: "Grace Hopper", Email: "grace.hopper@example.com", Identifier: "grace.hopper@example.com", UserID: "usr_grace", place: 1, devices: [2]uint8{1, 1}, Note: "Exports time out; otherwise a happy daily user."},
		{FirstName: "Alan", FullName: "Alan Turing", Email: "alan.turing@example.org", Identifier: "usr_alan", UserID: "usr_alan", place: 4, devices: [2]uint8{5, 6}, Note: "The site gave Raygun the user id, not the email."},
		{FirstName: "Katherine", FullName: "Katherine Johnson", Email: "katherine.johnson@example.net", Identifier: "katherine.johnson@example.net", UserID: "google-oauth2|katherine", place: 2, devices: [2]uint8{2, 8}, Note: "Signs in with Google: an id with a bar in it."},
		{FirstName: "Zoë", FullName: "Zoë Ångström-Müller", Email: "zoë@example.com", Identifier: "ü@x", UserID: "ü@x", place: 7, devices: [2]uint8{3, 9}, Note: "Letters beyond ASCII in name, email and id."},
		{FirstName: "Sam", FullName: "Sam Slash", Email: "sam.slash@example.com", Identifier: "a/b", UserID: "a/b", place: 10, devices: [2]uint8{4, 4}, Note: "A slash in the user id."},
		{FirstName: "<b>Mallory</b>", FullName: "<script>alert('name')</script>", Email: "mallory@example.com", Identifier: "mallory@example.com", UserID: "=HYPERLINK(\"http://example.com\")", place: 8, devices: [2]uint8{0, 8}, Note: "Hostile text in every field."},
		{FirstName: "Robin", FullName: "Robin Counter", Email: "robin@example.org", Identifier: "frontdesk@example.org", UserID: "usr_robin", place: 11, devices: [2]uint8{2, 2}, Note: "Shares the identifier frontdesk@example.org with Kim."},
		{FirstName: "Kim", FullName: "Kim Counter", Email: "kim@example.org", Identifier: "frontdesk@example.org", UserID: "usr_kim", place: 11, devices: [2]uint8{2, 7}, Note: "Shares the identifier frontdesk@example.org with Robin."},
		{FirstName: "Nia", FullName: "Nia New", Email: "nia.new@example.com", Identifier: "nia.new@example.com", UserID: "usr_nia", place: 14, devices: [2]uint8{8, 8}, Note: "A new customer: one session, today."},
		{FirstName: "Mel", FullName: "Mel Many", Email: "mel.many@example.com", Identifier: "mel.many@example.com", UserID: "usr_mel", place: 3, devices: [2]uint8{0, 6}, Note: "A heavy user with hundreds of sessions."},
	}
}

// heavyFrom is the place in demoPeople of the first heavy user; the two people
// after the demo ones are heavy users too.
const heavyFrom = 10

func (c *Company) makeCustomers(n int, r *rand.Rand) {
	demo := demoPeople()
	n = max(n, len(demo)+2)
	sets, domains := nameSets(), []string{"example.com", "example.com", "example.org", "example.net"}
	c.customers = make([]Customer, 0, n)
	c.customers = append(c.customers, demo...)
	for i := len(demo); i < n; i++ {
		set := sets[weighted(r, len(sets), func(i int) float64 { return []float64{10, 2, 2, 1.5, 2, 1, 1, 1}[i] })]
		p := Customer{FirstName: set.first[r.IntN(len(set.first))], place: weighted(r, len(c.cat.places), func(i int) float64 { return c.cat.places[i].odds })}
		last := set.last[r.IntN(len(set.last))]
		p.FullName = p.FirstName + " " + last
		p.Email = fmt.Sprintf("%s.%s%d@%s", plain(p.FirstName), plain(last), i, domains[r.IntN(len(domains))])
		p.UserID = oddUserID(i, p, r)
		p.Identifier = p.Email
		switch {
		case i%40 == 7: // a shared tablet: three people, one identifier
			p.Identifier = fmt.Sprintf("tablet%d@example.net", i/120)
		case r.Float64() < 0.25:
			p.Identifier = p.UserID
		}
		switch i % 97 {
		case 11: // one email, two accounts
			p.Email = c.customers[i-1].Email
		case 23: // never gave an email
			p.Email, p.Identifier = "", p.UserID
		case 31:
			p.FirstName, p.FullName = "", ""
		case 41:
			p.Email = strings.ToUpper(p.Email[:1]) + p.Email[1:] // as typed
		}
		for d := range p.devices {
			p.devices[d] = uint8(weighted(r, len(c.cat.devices), func(i int) float64 { return c.cat.devices[i].odds }))
		}
		c.customers = append(c.customers, p)
	}
	c.byUserID = make(map[string]int32, n)
	c.byIdentifier = make(map[string][]int32, n)
	c.byEmail = make(map[string][]int32, n)
	for i := range c.customers {
		p := &c.customers[i]
		p.index, p.RaygunID = i, customerID+int64(i)*7+int64(mix(c.seed, uint64(i))%7)
		c.byUserID[p.UserID] = int32(i)
		c.byIdentifier[p.Identifier] = append(c.byIdentifier[p.Identifier], int32(i))
		if p.Email != "" {
			k := strings.ToLower(p.Email)
			c.byEmail[k] = append(c.byEmail[k], int32(i))
		}
	}
}

func oddUserID(i int, p Customer, r *rand.Rand) string {
	switch r.IntN(12) {
	case 0:
		return fmt.Sprintf("google-oauth2|%021d", 100_000_000_000+int64(i)*7919)
	case 1:
		return fmt.Sprintf("auth0|%024x", mix(uint64(i), 3))
	case 2:
		return strconv.Itoa(100_000 + i)
	case 3:
		return fmt.Sprintf("org-%d/user-%d", i%50, i)
	case 4:
		return fmt.Sprintf("%s %d+%%", p.FirstName, i) // spaces, a plus and a percent sign
	default:
		return fmt.Sprintf("usr_%x", mix(uint64(i), 9)>>24)
	}
}

// plain makes an email's local part out of a name: ASCII where it is easy,
// else a stand-in.
func plain(s string) string {
	fold := strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "é", "e", "è", "e", "ë", "e", "ç", "c", "ã", "a", "õ", "o", "í", "i", "ú", "u", "ê", "e", "ō", "o", "ā", "a", "ē", "e", "ū", "u", "ł", "l", "ó", "o", "ą", "a", "ę", "e", "ś", "s", "ż", "z", "'", "")
	out := fold.Replace(strings.ToLower(s))
	for _, r := range out {
		if r > unicode.MaxASCII {
			return fmt.Sprintf("u%x", []byte(s)[1:3])
		}
	}
	return out
}

// visitorIdentifier is what Raygun's SDK made up for an anonymous visitor; half
// of them have none.
func (c *Company) visitorIdentifier(person int) string {
	if person%2 == 1 {
		return ""
	}
	a, b := mix(c.seed, uint64(person)), mix(c.seed+1, uint64(person))
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, 0x8000|b>>48&0x3fff, b&0xffffffffffff)
}

// visitorID and customerID are where the ids of Raygun's users begin.
const (
	customerID = 810_000_000
	visitorID  = 990_000_000
)

// raygunUserID is Raygun's own id of a customer or visitor.
func (c *Company) raygunUserID(person int32) int64 {
	if int(person) < len(c.customers) {
		return c.customers[person].RaygunID
	}
	return visitorID + int64(person)
}

// personByID finds whose Raygun id it is.
func (c *Company) personByID(id int64) (int32, bool) {
	if p := id - visitorID; p >= int64(len(c.customers)) && p < int64(len(c.byPerson)) {
		return int32(p), true
	}
	if p := (id - customerID) / 7; p >= 0 && p < int64(len(c.customers)) && c.customers[p].RaygunID == id {
		return int32(p), true
	}
	return 0, false
}

// seen says when (ms) a person was here first and last. It is not known of
// people who have not come yet, and Raygun does not know it of one in thirty.
func (c *Company) seen(person int32) (first, last int64, ok bool) {
	list := c.visible(c.byPerson[person])
	if len(list) == 0 || mix(c.seed+2, uint64(person))%30 == 0 {
		return 0, 0, false
	}
	w := c.rows[list[len(list)-1]]
	return c.rows[list[0]].start, min(c.nowMS(), w.start+int64(w.length)), true
}

// identified are the people that Raygun knows by the identifier.
func (c *Company) identified(identifier string) []int32 {
	if l := c.byIdentifier[identifier]; len(l) > 0 || len(identifier) != 36 {
		return l
	}
	for p := len(c.customers); p < len(c.byPerson); p++ {
		if c.visitorIdentifier(p) == identifier {
			return []int32{int32(p)}
		}
	}
	return nil
}

// traits are a customer's LogRocket traits before anyone edits them.
func (c *Company) traits(p Customer) map[string]string {
	r := rand.New(rand.NewPCG(c.seed, uint64(p.index)+1<<32))
	plans := []string{"free", "free", "starter", "team", "enterprise"}
	roles := []string{"owner", "buyer", "warehouse", "accounting"}
	t := map[string]string{
		"plan": plans[r.IntN(len(plans))], "role": roles[r.IntN(len(roles))],
		"seats": strconv.Itoa(1 + r.IntN(60)), "newsletter": strconv.FormatBool(r.IntN(3) > 0),
		"company": fmt.Sprintf("%s & Co", []string{"Hammerfall", "Northwind", "Bolt", "Sägewerk Süd", "Kauri", "Timber"}[r.IntN(6)]),
	}
	if r.IntN(3) == 0 {
		t["accountManager"] = []string{"maria@example.com", "tomas@example.com"}[r.IntN(2)]
	}
	if strings.HasPrefix(p.FullName, "<script>") {
		t["<img src=x onerror=alert(1)>"], t["formula"] = "javascript:alert(1)", `=HYPERLINK("http://example.com","press")`
	}
	return t
}

// weighted picks an index below n with the given odds, which need not sum to 1.
func weighted(r *rand.Rand, n int, odds func(int) float64) int {
	sum := 0.0
	for i := range n {
		sum += odds(i)
	}
	x := r.Float64() * sum
	for i := range n {
		if x -= odds(i); x < 0 {
			return i
		}
	}
	return n - 1
}

// mix scrambles two numbers into one (splitmix64's finaliser).
func mix(a, b uint64) uint64 {
	z := a + 0x9e3779b97f4a7c15*(b+1)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
