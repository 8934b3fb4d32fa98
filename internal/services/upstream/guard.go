package upstream

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// blockedAddress says that an address inside an answer leads where we do not go.
type blockedAddress struct{ why string }

func (b *blockedAddress) Error() string { return b.why }

// notPublic are the ranges of special use that netip has no name for.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("3fff::/20"), netip.MustParsePrefix("5f00::/16"),
	netip.MustParsePrefix("fec0::/10"),
}

// isPublic says whether an address is on the open internet. The ranges that
// carry an IPv4 address inside an IPv6 one count as not.
func isPublic(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() || !addr.IsGlobalUnicast() || addr.IsPrivate() {
		return false
	}
	for _, prefix := range notPublic {
		if prefix.Contains(addr) {
			return false
		}
	}
	return true
}

// isInside says whether an address is one an operator's own server may have.
// Link-local is not among them: cloud machines keep their credentials there.
func isInside(addr netip.Addr) bool {
	addr = addr.Unmap()
	return addr.IsLoopback() || addr.IsPrivate() || netip.MustParsePrefix("100.64.0.0/10").Contains(addr)
}

// IsInside says whether a host of an address is by its name, or as an address,
// on this machine or in a private network. Other names are taken for public
// ones: they are not resolved.
func IsInside(host string) bool {
	host = strings.ToLower(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && isInside(addr)
}

// insideBase says whether the operator's own base URL is on this machine or in
// the private network: then addresses in its answers may be, too.
func (c *Client) insideBase(ctx context.Context) bool {
	host := c.base.Hostname()
	if IsInside(host) {
		return true
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(addrs) == 0 {
		return false
	}
	for _, addr := range addrs {
		if !isInside(addr) {
			return false
		}
	}
	return true
}

// checkTarget says what is wrong with an address as written. What it resolves
// to is checked when connecting.
func checkTarget(target *url.URL, inside bool) error {
	switch {
	case target.Hostname() == "" || target.Opaque != "":
		return &blockedAddress{"the answer holds an address without a host"}
	case target.User != nil:
		return &blockedAddress{"the answer holds an address with credentials"}
	case target.Scheme == "https", target.Scheme == "http" && inside:
		return nil
	}
	return &blockedAddress{"the answer holds an address that is not https"}
}

// guardedTransport connects to public addresses only, and to inside ones if
// the base URL is inside. It looks at the address it connects to, so a name
// that changes its mind after a check gains nothing. It uses no proxy: a proxy
// would connect where we cannot look.
func guardedTransport(scheme string, inside bool) *http.Transport {
	dialer := &net.Dialer{
		Timeout: 10 * time.Second,
		Control: func(_, address string, _ syscall.RawConn) error {
			target, err := netip.ParseAddrPort(address)
			if err != nil {
				return &blockedAddress{"the answer holds an address that cannot be checked"}
			}
			if isPublic(target.Addr()) && scheme == "https" || inside && isInside(target.Addr()) {
				return nil
			}
			return &blockedAddress{"the answer holds an address that is not on the public internet"}
		},
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:         dialer.DialContext,
		DisableKeepAlives:   true,
		DisableCompression:  true,
		TLSHandshakeTimeout: 10 * time.Second,
		Protocols:           protocols,
	}
}
