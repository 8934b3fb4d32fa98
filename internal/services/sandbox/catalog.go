package sandbox

// What the made-up company has: its pages, what goes wrong on them, how people
// move through them, and what they move with. The company, Acme, sells tools in
// a web shop and a stock-keeping service by subscription.

// page is one page of the company's sites with its load-time profile.
type page struct {
	url     string   // %s takes a value from fills, when there are any
	fills   []string // values for %s
	phrase  string   // what a user "does" by opening it, third person
	name    string
	median  float64 // load time in ms for a desktop nearby
	spread  float64 // sigma of the log-normal
	coldOdd float64 // chance of a cold cache, which makes it several times slower
	stay    float64 // median viewing time in ms
	actions []string
	calls   []string // requests the page makes, "METHOD path"
}

// Indexes into catalog.pages.
const (
	pgHome = iota
	pgSearch
	pgProduct
	pgCart
	pgAddress
	pgPayment
	pgConfirm
	pgLogin
	pgDashboard
	pgStock
	pgReports
	pgReport
	pgBilling
	pgTeam
	pgExport
	pgDocs
	pgPricing
	pgHostile
)

// errorGroup is a kind of error that some pages have.
type errorGroup struct {
	id        int64
	title     string
	kind      string // JavaScript error class
	message   string
	pages     []int
	odds      float64 // chance for each view of those pages while it is alive
	firstDay  int     // days before today when the release that brought it went out
	fixedDay  int     // days before today when it was fixed; 0 is not yet
	onlyIf    string  // browser name it is limited to; empty is any
	statement string  // what the user meets, third person
}

// journey is a way through the pages that people often take.
type journey struct {
	name  string
	steps []int
	fail  int // index of the errorGroup that ends it, or -1
	odds  float64
	anon  bool // visitors without an account take it too
}

// Indexes into catalog.journeys.
const (
	jnBrowse = iota
	jnBuy
	jnAbandon
	jnWork
	jnReport
	jnBilling
	jnLearn
	jnBounce
	jnPayFail
	jnExportFail
	jnCouponFail
	jnHostile
)

type device struct {
	browser, browserVersion, platform, os, osVersion string
	slow                                             float64 // factor on load times
	odds                                             float64
}

type place struct {
	code, country, state, city string
	utc                        int     // hours from UTC, for believable times of day
	far                        float64 // factor on load times
	odds                       float64
}

// catalog holds all of the above; newCatalog makes it afresh for every Company.
type catalog struct {
	pages    []page
	errors   []errorGroup
	journeys []journey
	devices  []device
	places   []place
}

func newCatalog() *catalog {
	return &catalog{pages: catalogPages(), errors: catalogErrors(), journeys: catalogJourneys(), devices: catalogDevices(), places: catalogPlaces()}
}

func catalogPages() []page {
	const shop, app = "https://shop.example.com", "https://app.example.com"
	skus := []string{"cordless-drill-18v", "claw-hammer", "spirit-level-60", "socket-set-94", "laser-measure", "workbench-folding", "paint-roller-kit", "safety-goggles", "jigsaw-650w", "torque-wrench", "ladder-3m", "crème-brûlée-torch"}
	terms := []string{"drill", "hammer", "screws%204mm", "b%C3%BCrste", "ladder", "gloves%20xl", "saw"}
	reports := []string{"stock-turnover", "low-stock", "sales-by-region", "dead-stock", "suppliers"}
	return []page{
		pgHome:      {shop + "/", nil, "opens the shop's front page", "Home", 620, 0.35, 0.05, 14e3, []string{"Shop power tools", "Accept cookies", "Autumn sale"}, []string{"GET /api/recommendations"}},
		pgSearch:    {shop + "/search?q=%s", terms, "searches the shop", "Search", 980, 0.45, 0.1, 18e3, []string{"In stock only", "Sort by price", "Next page"}, []string{"GET /api/search"}},
		pgProduct:   {shop + "/product/%s", skus, "looks at a product", "Product", 1150, 0.4, 0.08, 41e3, []string{"Add to basket", "Read reviews", "Photo 2"}, []string{"GET /api/products/%d", "GET /api/products/%d/reviews", "POST /api/basket/items"}},
		pgCart:      {shop + "/basket", nil, "opens the basket", "Basket", 760, 0.3, 0.04, 22e3, []string{"Apply coupon", "Change quantity", "Go to checkout"}, []string{"GET /api/basket", "POST /api/basket/coupon"}},
		pgAddress:   {shop + "/checkout/address", nil, "fills in the delivery address", "Checkout: address", 690, 0.3, 0.03, 58e3, []string{"Use saved address", "Continue to payment"}, []string{"GET /api/addresses", "POST /api/addresses/validate"}},
		pgPayment:   {shop + "/checkout/payment", nil, "goes to payment", "Checkout: payment", 1850, 0.55, 0.12, 47e3, []string{"Pay by card", "Pay now", "Pay now"}, []string{"GET /api/payment/methods", "POST /api/payment/intents"}},
		pgConfirm:   {shop + "/checkout/thank-you", nil, "sees the order confirmation", "Order confirmed", 540, 0.25, 0.02, 16e3, []string{"Print receipt"}, []string{"GET /api/orders/latest"}},
		pgLogin:     {app + "/login", nil, "signs in", "Sign in", 430, 0.25, 0.02, 12e3, []string{"Sign in", "Forgot password"}, []string{"POST /api/session"}},
		pgDashboard: {app + "/dashboard", nil, "opens the dashboard", "Dashboard", 1420, 0.45, 0.15, 35e3, []string{"This week", "Warehouse: North", "Refresh"}, []string{"GET /api/me", "GET /api/widgets", "GET /api/alerts"}},
		pgStock:     {app + "/stock/%s", skus, "looks up stock of an item", "Stock item", 880, 0.4, 0.06, 33e3, []string{"Adjust quantity", "Move to warehouse", "Save"}, []string{"GET /api/stock/%d", "PUT /api/stock/%d"}},
		pgReports:   {app + "/reports", nil, "opens the list of reports", "Reports", 1010, 0.35, 0.06, 15e3, []string{"New report", "Filter by owner"}, []string{"GET /api/reports"}},
		pgReport:    {app + "/reports/%s", reports, "runs a report", "Report", 4200, 0.7, 0.3, 74e3, []string{"Last 90 days", "Group by week", "Export CSV"}, []string{"POST /api/reports/%d/run", "GET /api/reports/%d/rows"}},
		pgBilling:   {app + "/settings/billing", nil, "opens the billing settings", "Billing", 1250, 0.4, 0.05, 29e3, []string{"Change plan", "Download invoice", "Update card"}, []string{"GET /api/billing", "GET /api/invoices"}},
		pgTeam:      {app + "/settings/team", nil, "manages the team", "Team", 910, 0.35, 0.04, 27e3, []string{"Invite member", "Change role"}, []string{"GET /api/members", "POST /api/invitations"}},
		pgExport:    {app + "/exports/new", nil, "starts a data export", "New export", 1630, 0.5, 0.1, 31e3, []string{"Choose columns", "Start export", "Start export"}, []string{"POST /api/exports", "GET /api/exports/%d"}},
		pgDocs:      {"https://docs.example.com/%s", []string{"getting-started", "api/authentication", "imports", "webhooks", "faq"}, "reads the documentation", "Documentation", 380, 0.25, 0.02, 66e3, []string{"Copy code", "Was this helpful? Yes"}, nil},
		pgPricing:   {"https://www.example.com/pricing", nil, "compares the plans", "Pricing", 560, 0.3, 0.03, 38e3, []string{"Yearly", "Start free trial"}, nil},
		pgHostile: {"%s", []string{
			shop + "/search?q=<script>alert(1)</script>", `=HYPERLINK("http://example.com/","press me")`, "javascript:alert(document.domain)",
			shop + "/product/<img src=x onerror=alert(1)>", "data:text/html,<b>hello</b>", shop + `/basket?note="onmouseover="alert(1)`,
		}, "opens a page with <b>markup</b> in its [address](javascript:alert(1))", "<script>alert('page')</script>", 900, 0.4, 0, 9e3, []string{"<img src=x onerror=alert(2)>"}, []string{"GET /api/echo?x=<script>"}},
	}
}

func catalogErrors() []errorGroup {
	return []errorGroup{
		{id: 4810331, title: "TypeError: Cannot read properties of undefined (reading 'total')", kind: "TypeError", message: "Cannot read properties of undefined (reading 'total')", pages: []int{pgPayment}, odds: 0.14, firstDay: 6, statement: "hits an error when paying"},
		{id: 4796120, title: "Error: Request failed with status code 502 (POST /api/payment/intents)", kind: "Error", message: "Request failed with status code 502", pages: []int{pgPayment}, odds: 0.025, firstDay: 400, statement: "sees the payment provider time out"},
		{id: 4771002, title: "Error: Coupon AUTUMN25 could not be applied: currency mismatch", kind: "Error", message: "Coupon AUTUMN25 could not be applied: currency mismatch", pages: []int{pgCart}, odds: 0.05, firstDay: 21, fixedDay: 3, statement: "is refused a coupon"},
		{id: 4802775, title: "ChunkLoadError: Loading chunk 417 failed", kind: "ChunkLoadError", message: "Loading chunk 417 failed.\n(error: https://app.example.com/assets/417.9f2c.js)", pages: []int{pgDashboard, pgReports, pgBilling}, odds: 0.018, firstDay: 400, statement: "gets a half-loaded page after a release"},
		{id: 4807410, title: "RangeError: Invalid time value", kind: "RangeError", message: "Invalid time value", pages: []int{pgReport}, odds: 0.3, firstDay: 13, fixedDay: 0, onlyIf: "Safari", statement: "cannot run the report for the chosen dates"},
		{id: 4788899, title: "Error: Export timed out after 30000 ms", kind: "Error", message: "Export timed out after 30000 ms", pages: []int{pgExport}, odds: 0.16, firstDay: 34, statement: "waits for an export that times out"},
		{id: 4755218, title: "ResizeObserver loop completed with undelivered notifications.", kind: "Error", message: "ResizeObserver loop completed with undelivered notifications.", pages: []int{pgDashboard, pgStock, pgProduct}, odds: 0.008, firstDay: 400, statement: "runs into a harmless layout warning"},
		{id: 4799341, title: "NetworkError: Failed to fetch", kind: "TypeError", message: "Failed to fetch", pages: []int{pgHome, pgSearch, pgProduct, pgStock, pgTeam, pgDocs}, odds: 0.005, firstDay: 400, statement: "loses the connection"},
		{id: 4760054, title: "QuotaExceededError: Failed to execute 'setItem' on 'Storage'", kind: "QuotaExceededError", message: "Failed to execute 'setItem' on 'Storage': Setting the value of 'draft' exceeded the quota.", pages: []int{pgStock, pgTeam}, odds: 0.006, firstDay: 400, statement: "cannot save a draft"},
		{id: 4793307, title: "SyntaxError: Unexpected token '<', \"<!DOCTYPE \"... is not valid JSON", kind: "SyntaxError", message: "Unexpected token '<', \"<!DOCTYPE \"... is not valid JSON", pages: []int{pgBilling, pgLogin}, odds: 0.012, firstDay: 48, fixedDay: 30, statement: "gets a page where data was expected"},
		{id: 4811666, title: "<script>alert('error title')</script> & <img src=x onerror=alert(1)>", kind: "=cmd|' /C calc'!A0", message: "</script><script>alert(1)</script>", pages: []int{pgHostile}, odds: 0.9, firstDay: 400, statement: "hits [an error](javascript:alert(1)) with <script>alert(1)</script> in its title"},
	}
}

func catalogJourneys() []journey {
	return []journey{
		jnBrowse:     {"browse", []int{pgHome, pgSearch, pgProduct, pgProduct}, -1, 0.22, true},
		jnBuy:        {"buy", []int{pgHome, pgProduct, pgCart, pgAddress, pgPayment, pgConfirm}, -1, 0.13, false},
		jnAbandon:    {"abandon basket", []int{pgSearch, pgProduct, pgCart, pgHome}, -1, 0.08, true},
		jnWork:       {"keep stock", []int{pgLogin, pgDashboard, pgStock, pgStock, pgStock}, -1, 0.27, false},
		jnReport:     {"report", []int{pgLogin, pgDashboard, pgReports, pgReport, pgExport}, -1, 0.12, false},
		jnBilling:    {"billing", []int{pgDashboard, pgBilling, pgTeam}, -1, 0.05, false},
		jnLearn:      {"learn", []int{pgDocs, pgDocs, pgPricing}, -1, 0.06, true},
		jnBounce:     {"bounce", []int{pgPricing}, -1, 0.07, true},
		jnPayFail:    {"payment fails", []int{pgHome, pgProduct, pgCart, pgAddress, pgPayment}, 0, 0, false},
		jnExportFail: {"export fails", []int{pgLogin, pgDashboard, pgReports, pgReport, pgExport}, 5, 0, false},
		jnCouponFail: {"coupon refused", []int{pgHome, pgProduct, pgCart}, 2, 0, false},
		jnHostile:    {"hostile", []int{pgHome, pgHostile, pgHostile, pgHostile}, 10, 0, false},
	}
}

func catalogDevices() []device {
	return []device{
		{"Chrome", "142.0.7444.60", "Desktop", "Windows", "11", 1, 0.27},
		{"Chrome", "141.0.7390.123", "Desktop", "Mac OS X", "15.6.1", 0.9, 0.13},
		{"Edge", "142.0.3595.53", "Desktop", "Windows", "11", 1, 0.1},
		{"Firefox", "145.0", "Desktop", "Windows", "10", 1.1, 0.05},
		{"Firefox", "144.0.2", "Desktop", "Linux", "6.12", 1, 0.03},
		{"Safari", "18.6", "Desktop", "Mac OS X", "15.6.1", 0.9, 0.08},
		{"Safari", "18.6", "iPhone", "iOS", "18.6.2", 1.5, 0.13},
		{"Safari", "17.6", "iPad", "iPadOS", "17.6.1", 1.4, 0.03},
		{"Chrome Mobile", "142.0.7444.48", "Samsung SM-S921B", "Android", "15", 1.7, 0.08},
		{"Chrome Mobile", "140.0.7339.207", "Google Pixel 8", "Android", "16", 1.5, 0.05},
		{"Samsung Internet", "28.0", "Samsung SM-A546B", "Android", "14", 2.1, 0.03},
		{"Opera", "123.0.5669.47", "Desktop", "Windows", "10", 1.1, 0.015},
		{"", "", "Unknown", "", "", 1.3, 0.005},
	}
}

func catalogPlaces() []place {
	return []place{
		{"US", "United States", "California", "San Francisco", -8, 1, 0.09}, {"US", "United States", "New York", "New York", -5, 1, 0.1},
		{"US", "United States", "Texas", "Austin", -6, 1, 0.07}, {"US", "United States", "Illinois", "Chicago", -6, 1, 0.05},
		{"GB", "United Kingdom", "England", "London", 0, 1.1, 0.1}, {"GB", "United Kingdom", "Scotland", "Edinburgh", 0, 1.1, 0.03},
		{"DE", "Germany", "Berlin", "Berlin", 1, 1.15, 0.06}, {"DE", "Germany", "Bayern", "München", 1, 1.15, 0.05},
		{"FR", "France", "Île-de-France", "Paris", 1, 1.15, 0.05}, {"NL", "Netherlands", "Noord-Holland", "Amsterdam", 1, 1.1, 0.04},
		{"NZ", "New Zealand", "Wellington", "Wellington", 13, 1.9, 0.06}, {"AU", "Australia", "Victoria", "Melbourne", 11, 1.8, 0.05},
		{"CA", "Canada", "Ontario", "Toronto", -5, 1, 0.05}, {"BR", "Brazil", "São Paulo", "São Paulo", -3, 1.7, 0.04},
		{"IN", "India", "Karnataka", "Bengaluru", 5, 1.8, 0.05}, {"JP", "Japan", "Tokyo", "Tokyo", 9, 1.5, 0.03},
		{"ES", "Spain", "Cataluña", "Barcelona", 1, 1.2, 0.02}, {"SE", "Sweden", "Stockholm", "Stockholm", 1, 1.15, 0.02},
		{"PL", "Poland", "Mazowieckie", "Warszawa", 1, 1.25, 0.02}, {"ZA", "South Africa", "Western Cape", "Cape Town", 2, 2.2, 0.01},
		{"", "", "", "", 0, 1.4, 0.01},
	}
}
