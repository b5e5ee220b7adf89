// Package faasconsole serves a page to leave open on a second screen: it says whether
// anything is wrong with the functions of a host, where, since when, and what they cost, and
// leads in three clicks from a failure to a corrected call that succeeds.
//
// The page is a client of the API of package admin, and shows what that lets its viewer see:
//
//	api := admin.Handler(r, admin.WithAuthorize(rules.Permit), admin.WithRecorder(recorder))
//	mux.Handle("/console/", http.StripPrefix("/console", faasconsole.Handler(api, faasconsole.WithLogin(tokens))))
//
// It works below any prefix. All its files are embedded in the program: it loads nothing
// from elsewhere, and needs no build step. It has plain ES modules, and uPlot
// (https://github.com/leeoniya/uPlot, MIT license) for its charts.
//
// # Who sees it
//
// The page itself holds no data and is served without a login. What it shows comes from the API,
// which needs a principal: by [WithLogin], or by a middleware of the host's own in front of
// the whole [Handler].
//
// # What the browser is told
//
// Each answer forbids scripts, styles and requests that are not the page's own, and all
// ways to make HTML from text (Trusted Types). Names of functions and tenants, errors and inputs are
// hostile text here: they are only ever shown as text.
package faasconsole
