package raygun

import (
	"net/netip"
	"net/url"
	"strings"
)

// AppLink returns link if it may be shown as a link into Raygun's app, for an
// API server at base, and "" otherwise. It may lead to raygun.com and its
// subdomains over https, or to the server's own host; on any port, and over
// http, if that server is the operator's own: on this machine or under a
// private address.
func AppLink(base, link string) string {
	to, err := url.Parse(strings.TrimSpace(link))
	if err != nil || to.User != nil || to.Opaque != "" || to.Hostname() == "" || (to.Scheme != "https" && to.Scheme != "http") {
		return ""
	}
	host := strings.ToLower(to.Hostname())
	if to.Scheme == "https" && to.Port() == "" && (host == "raygun.com" || strings.HasSuffix(host, ".raygun.com")) {
		return to.String()
	}
	own, err := url.Parse(base)
	if err != nil {
		return ""
	}
	ownHost := strings.ToLower(own.Hostname())
	switch {
	case isLoopback(ownHost) && isLoopback(host), isPrivate(ownHost) && host == ownHost:
		return to.String()
	case host == ownHost && to.Scheme == "https":
		return to.String()
	case host == ownHost && own.Scheme == "http":
		return to.String()
	}
	return ""
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && addr.Unmap().IsLoopback()
}

func isPrivate(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsPrivate()
}
