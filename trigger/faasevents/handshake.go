package faasevents

import (
	"net/http"
	"strconv"
	"strings"
)

// allowed returns the methods for the header Allow, in a 405 and in the handshake.
func (s *settings) allowed() string {
	if s.origins == nil {
		return http.MethodPost
	}
	return http.MethodPost + ", " + http.MethodOptions
}

// grant answers the handshake. To refuse, it leaves out the WebHook-Allowed headers: only these
// headers count for the sender, and the specification gives the status no meaning.
func (s *settings) grant(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Allow", s.allowed())
	origin := req.Header.Get("WebHook-Request-Origin")
	if origin == "" || !s.grants(origin) {
		writeProblem(w, &problem{Status: http.StatusForbidden, Reason: "origin", Detail: "deliveries from this origin are not permitted"})
		return
	}
	if s.origins["*"] {
		origin = "*"
	}
	rate := "*"
	if s.rate > 0 {
		rate = strconv.Itoa(s.rate)
	}
	w.Header().Set("WebHook-Allowed-Origin", origin)
	w.Header().Set("WebHook-Allowed-Rate", rate)
	w.WriteHeader(http.StatusOK)
}

// grants reports whether the origin is one of WithOrigins. It ignores case, because origins are
// DNS names.
func (s *settings) grants(origin string) bool {
	return s.origins["*"] || s.origins[strings.ToLower(origin)]
}

// permitted reports whether a delivery may come. Without WithOrigins, or with the origin "*",
// every delivery may. Otherwise the delivery must name its origin again: the handshake and the
// delivery are two requests, and only this header connects them.
func (s *settings) permitted(req *http.Request) bool {
	return s.origins == nil || s.grants(req.Header.Get("WebHook-Request-Origin"))
}
