// Package pattern matches JSON by example, in the language of Amazon EventBridge:
//
//	p, err := pattern.Compile(`{"state": ["paid"], "total": [{"numeric": [">", 100]}]}`)
//	ok, err := p.MatchJSON(payload)
//
// [Compile] describes the language. Package trigger/source uses patterns to leave items out,
// and trigger/faasevents uses them to choose the function of an event.
package pattern
