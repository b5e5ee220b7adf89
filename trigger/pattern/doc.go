// Package pattern matches JSON by example, in the language of Amazon EventBridge:
//
//	p, err := pattern.Compile(`{"state": ["paid"], "total": [{"numeric": [">", 100]}]}`)
//	ok, err := p.MatchJSON(payload)
//
// [Compile] describes the language. Package trigger/source leaves items out by it, and
// trigger/faasevents chooses the function of an event.
package pattern
