// Package faasconsole serves a web page to leave open on a second screen. It shows whether
// something is wrong with the functions of a host, where, since when, and what they cost. From
// a failure it takes three clicks to a corrected call that succeeds.
//
// The page is a client of the API of package admin. It shows what the API lets its viewer see:
//
//	api := admin.Handler(r, admin.WithAuthorize(rules.Permit), admin.WithRecorder(recorder))
//	mux.Handle("/console/", http.StripPrefix("/console", faasconsole.Handler(api, faasconsole.WithLogin(tokens))))
//
// The page works below any path prefix. All its files are embedded in the program, nothing is
// loaded from other hosts, and there is no build step. It consists of plain ES modules, and of
// uPlot (https://github.com/leeoniya/uPlot, MIT license) for its charts.
//
// # Authentication
//
// The page itself has no data and is served without a login. Its data come from the API, which
// needs a principal. That comes from [WithLogin], or from a middleware of the host in front of
// the whole [Handler].
//
// # Browser policy
//
// Each answer has headers by which the browser blocks scripts, styles and requests that are not
// the page's own, and all ways to make HTML from text (Trusted Types). The page treats names of
// functions and tenants, errors and inputs as hostile: it shows them as text only.
package faasconsole
