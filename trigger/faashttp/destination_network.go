package faashttp

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// transport returns the transport of a destination's requests. The dialer calls Control with
// each address of a name just before it connects to that address, so the checked address is the
// one that is used. Proxy is nil, because a proxy would connect without this check.
func (d *urlDestination) transport() *http.Transport {
	dialer := net.Dialer{
		Timeout: 10 * time.Second,
		Control: func(_, address string, _ syscall.RawConn) error {
			a, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("faashttp: %q is not an IP address with a port", address)
			}
			return d.mayDial(a.Addr())
		},
	}
	dial := dialer.DialContext
	if d.dial != nil {
		dial = d.dial
	}
	return &http.Transport{
		DialContext: dial, ForceAttemptHTTP2: true, DisableCompression: true, TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 16, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 64 << 10,
	}
}

// mayDial returns nil if a destination may connect to an address, or an error that says why
// not.
func (d *urlDestination) mayDial(a netip.Addr) error {
	a = a.Unmap().WithZone("")
	for _, p := range d.networks {
		if p.Contains(a) {
			return nil
		}
	}
	if isPublic(a) {
		return nil
	}
	return fmt.Errorf("%v is not a public address: if the destination may connect to it, name it by faashttp.WithNetworks", a)
}

// special returns the networks that are not public. They are those networks of IANA's
// special-purpose address registries that are not globally reachable, and those whose addresses
// contain an IPv4 address (6to4, Teredo). Of IPv6 the list has only networks inside 2000::/3:
// isPublic refuses all IPv6 outside of it, except NAT64.
func special() []string {
	return []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
		"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	}
}

// isPublic reports whether an address belongs to the public internet. It is called once for
// each connection, so parsing the prefixes each time is cheap enough.
func isPublic(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if netip.MustParsePrefix("64:ff9b::/96").Contains(a) { // NAT64 (RFC 6052): the last four bytes are an IPv4 address
		b := a.As16()
		return isPublic(netip.AddrFrom4([4]byte(b[12:])))
	}
	if !a.IsValid() || a.Is6() && !netip.MustParsePrefix("2000::/3").Contains(a) {
		return false
	}
	for _, s := range special() {
		if netip.MustParsePrefix(s).Contains(a) {
			return false
		}
	}
	return true
}
