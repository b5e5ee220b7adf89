package faasevents

import (
	"net/http"
	"strconv"
	"strings"
)

// allowed are the methods, for a 405 and for the handshake.
func (h *handler) allowed() string {
	if h.origins == nil {
		return http.MethodPost
	}
	return http.MethodPost + ", " + http.MethodOptions
}

// grant answers the handshake. A refusal withholds the headers: the
// specification gives the status no meaning.
func (h *handler) grant(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Allow", h.allowed())
	origin := req.Header.Get("WebHook-Request-Origin")
	if origin == "" || !h.grants(origin) {
		writeProblem(w, &problem{Status: http.StatusForbidden, Reason: "origin", Detail: "deliveries from this origin are not wanted"})
		return
	}
	if h.origins["*"] {
		origin = "*"
	}
	rate := "*"
	if h.rate > 0 {
		rate = strconv.Itoa(h.rate)
	}
	w.Header().Set("WebHook-Allowed-Origin", origin)
	w.Header().Set("WebHook-Allowed-Rate", rate)
	w.WriteHeader(http.StatusOK)
}

func (h *handler) grants(origin string) bool {
	return h.origins["*"] || h.origins[strings.ToLower(origin)]
}

// permitted tells whether a delivery may come: origins that were named, and not
// all of them, have to name themselves again.
func (h *handler) permitted(req *http.Request) bool {
	return h.origins == nil || h.grants(req.Header.Get("WebHook-Request-Origin"))
}
