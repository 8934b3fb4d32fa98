package raygun

import (
	"encoding/json"
	"errors"
	"math"

	"sightline/internal/services/upstream"
)

// readPage reads the answer of sessions. base is the server's address and q what
// was asked.
func readPage(body []byte, base string, q SessionQuery) (SessionPage, error) {
	answer, ok := upstream.ParseObject(body)
	rows := answer.List("sessions")
	if !ok {
		rows = upstream.List(body) // a bare list, as v3 has them
		ok = rows != nil
	} else {
		ok = answer.Has("sessions") || answer.Has("totalsessions")
	}
	if !ok {
		return SessionPage{}, errors.New("the answer is not a list of sessions")
	}
	page := SessionPage{Total: -1, Listed: -1, Received: len(rows), NextSkip: q.Skip + len(rows)}
	if total, ok := answer.Int("totalsessions"); ok && total >= 0 && total <= math.MaxInt32 {
		page.Total, page.Listed = int(total), int(total)
	}
	for _, row := range rows {
		session, ok := readSession(row, base)
		if !ok {
			page.Unreadable++
			continue
		}
		page.Sessions = append(page.Sessions, session)
	}
	// The link is a hint and never followed: it may be relative, missing or lead
	// elsewhere. An empty page is the end whatever it says.
	hinted := answer.Object("links").Text("next") != ""
	short := page.Total >= 0 && page.NextSkip < page.Total
	full := page.Total < 0 && len(rows) >= q.Limit
	page.More = len(rows) > 0 && (hinted || short || full)
	return page, nil
}

// readDetail reads the answer of session, wrapped or bare. empty says that the
// answer is good and holds none.
func readDetail(body []byte, base, id string) (session Session, empty bool, err error) {
	object, ok := upstream.ParseObject(body)
	if !ok {
		return Session{}, false, errors.New("the answer is not a session")
	}
	raw := json.RawMessage(body)
	if object.Has("session") {
		raw = object["session"]
		if string(raw) == "null" {
			return Session{}, true, nil
		}
		if object, ok = upstream.ParseObject(raw); !ok {
			return Session{}, false, errors.New("the answer is not a session")
		}
	}
	session, ok = readSession(raw, base)
	switch {
	case !ok && !object.Has("sessionstart"):
		return Session{}, false, errors.New("the answer is not a session")
	case !ok: // a session without its id is the one asked for
		session = sessionFrom(object, base)
		session.ID = id
		session.Raw = raw
	case session.ID != id:
		return Session{}, false, errors.New("the answer is another session than the one asked for")
	}
	session.Detailed = true
	return session, false, nil
}

// readSession reads one session. ok is false if it has no id.
func readSession(raw json.RawMessage, base string) (s Session, ok bool) {
	object, ok := upstream.ParseObject(raw)
	if !ok {
		return Session{}, false
	}
	s = sessionFrom(object, base)
	s.Raw = raw
	return s, s.ID != ""
}

func sessionFrom(o upstream.Object, base string) Session {
	place := o.Object("location")
	lookup := place.Object("iplookup")
	s := Session{
		ID:            upstream.ID(o["id"]),
		Start:         o.Time("sessionstart"),
		Updated:       o.Time("sessionupdated"),
		End:           o.Time("sessionend"),
		User:          readUser(o.Object("user"), base),
		Browser:       readSoftware(o, "browser"),
		Platform:      readSoftware(o, "platform"),
		OS:            readSoftware(o, "os"),
		Country:       place.Text("country"),
		CountryName:   lookup.Text("country"),
		State:         lookup.Text("state"),
		City:          lookup.Text("city"),
		IP:            place.Text("ipaddress"),
		LengthMS:      number(o, "sessionlength"),
		Status:        o.Text("status"),
		PageViewCount: -1,
		Rating:        o.Text("satisfactionrating"),
		WebLink:       webLink(o, base),
	}
	if count, ok := o.Int("pageviewcount"); ok && count >= 0 && count <= math.MaxInt32 {
		s.PageViewCount = int(count)
	}
	for _, raw := range o.List("errors") {
		if one, ok := upstream.ParseObject(raw); ok {
			s.Errors = append(s.Errors, SessionError{
				GroupID: upstream.ID(one["groupid"]), InstanceID: upstream.ID(one["instanceid"]),
				Title: one.Text("title"), WebLink: webLink(one, base),
			})
		}
	}
	for _, raw := range o.List("pageviews") {
		if one, ok := upstream.ParseObject(raw); ok {
			s.PageViews = append(s.PageViews, PageView{
				Page: one.Text("page"), LoadingMS: number(one, "loadingtime"), ViewingMS: number(one, "viewingtime"),
				ViewedOn: one.Time("viewedon"),
			})
		}
	}
	return s
}

func readUser(o upstream.Object, base string) User {
	return User{
		ID:         upstream.ID(o["id"]),
		Anonymous:  o.Bool("isanonymous"),
		Identifier: o.Text("identifier"),
		FirstName:  o.Text("firstname"),
		FullName:   o.Text("fullname"),
		Email:      o.Text("emailaddress"),
		FirstSeen:  o.Time("firstseen"),
		LastSeen:   o.Time("lastseen"),
		WebLink:    webLink(o, base),
	}
}

// readSoftware reads {"name","version"}, or a bare name.
func readSoftware(o upstream.Object, key string) Software {
	if inner := o.Object(key); inner != nil {
		return Software{Name: inner.Text("name"), Version: inner.Text("version")}
	}
	return Software{Name: o.Text(key)}
}

func number(o upstream.Object, key string) *int64 {
	if value, ok := o.Int(key); ok {
		return &value
	}
	return nil
}

func webLink(o upstream.Object, base string) string {
	return AppLink(base, o.Object("links").Text("web"))
}
