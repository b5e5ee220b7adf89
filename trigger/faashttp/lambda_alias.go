package faashttp

import (
	"encoding/binary"
	"errors"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// manage begins an operation on a function as a whole. It reads the body into doc, unless doc
// is nil. It returns false, and has answered the request, if the caller may not know of the
// function. A qualifier in the function's name must exist and is otherwise ignored, as on
// Lambda.
func (l *Lambda) manage(x *exchange, doc any) (t target, ok bool) {
	t, apiErr := targetOf(x.r)
	if doc != nil && !l.document(x, doc) {
		return t, false
	}
	if apiErr == nil {
		apiErr = l.address.notFound(t)
		if l.address.isHere(t) && l.isVisible(x, t) {
			return t, true
		}
	}
	x.refuse(apiErr)
	return t, false
}

// isVisible reports whether the caller may know of the target. Without a qualifier, one version
// that the caller may know of is enough.
func (l *Lambda) isVisible(x *exchange, t target) bool {
	if t.qualifier == "" {
		return len(l.versions(x, t.name)) > 0
	}
	_, err := l.router.Signature(t.call())
	return err == nil && !x.isDenied(l.router, t.call())
}

// aliasRequest is the body of CreateAlias and of UpdateAlias. Nil fields were not sent.
type aliasRequest struct {
	Name            *string // CreateAlias only
	FunctionVersion *string
	Description     *string
	RoutingConfig   *struct{ AdditionalVersionWeights map[string]*float64 }
	RevisionID      *string `json:"RevisionId"` // UpdateAlias only
}

// aliasDocument is the API's JSON document of an alias.
type aliasDocument struct {
	AliasArn, Name, FunctionVersion, Description string

	RoutingConfig *routingConfig `json:",omitempty"`
	RevisionID    string         `json:"RevisionId"`
}

type routingConfig struct{ AdditionalVersionWeights map[string]float64 }

// aliasDocument describes an alias. Only the program itself can set an alias with more than two
// versions; then RoutingConfig has all versions but the main one.
func (l *Lambda) aliasDocument(a faas.Alias) aliasDocument {
	s := splitOf(a.Weights, l.mains.of(a))
	doc := aliasDocument{
		AliasArn: l.address.arn(a.Function, a.Name), Name: a.Name, Description: a.Description,
		FunctionVersion: versionText(s.version), RevisionID: revisionID(a),
	}
	if len(s.others) > 0 {
		doc.RoutingConfig = &routingConfig{AdditionalVersionWeights: map[string]float64{}}
		for version, part := range s.others {
			doc.RoutingConfig.AdditionalVersionWeights[versionText(version)] = part
		}
	}
	return doc
}

// revisionID returns the API's RevisionId of an alias. Clients expect the form of a UUID, so it
// is a UUIDv8 of the time and the number of the alias's last change. With the time, an alias
// that is deleted and made again has other ids than before.
func revisionID(a faas.Alias) string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(a.Changed.UnixMilli())<<16)
	binary.BigEndian.PutUint64(id[8:], a.Revision)
	id[6] = id[6]&0x0f | 0x80 // version 8
	id[8] = id[8]&0x3f | 0x80 // the variant of RFC 9562
	return id.String()
}

func (l *Lambda) createAlias(x *exchange) {
	var in aliasRequest
	t, ok := l.manage(x, &in)
	if !ok {
		return
	}
	name := ""
	if in.Name != nil {
		name = *in.Name
	}
	s, routed := l.routing(x, t, split{}, &in)
	if apiErr := firstOf(checkAliasName(name, in.Name != nil), checkDescription(in.Description), missingVersion(&in), routed); apiErr != nil {
		x.refuse(apiErr)
		return
	}
	err := l.router.SetAlias(t.name, name, s.weights(), l.options(x, faas.Alias{}, &in)...) // the zero Alias has revision 0: SetAlias fails if the alias exists
	if errors.Is(err, faas.ErrStale) {
		x.refuse(conflict("Alias already exists: " + l.address.arn(t.name, name)))
		return
	}
	l.answerAlias(x, t, name, s.version, http.StatusCreated, err)
}

// updateAlias changes only the fields that the request has. If the alias has changed since it
// was read here, a request without a RevisionId is applied again to the changed alias, so that
// the other change is lost only in the fields that both name.
func (l *Lambda) updateAlias(x *exchange) {
	var in aliasRequest
	t, ok := l.manage(x, &in)
	if !ok {
		return
	}
	name := x.r.PathValue("alias")
	if apiErr := firstOf(checkAliasName(name, true), checkDescription(in.Description)); apiErr != nil {
		x.refuse(apiErr)
		return
	}
	for {
		a, found := l.alias(t.name, name)
		if !found {
			x.refuse(notFound("Alias not found: " + l.address.arn(t.name, name)))
			return
		}
		if in.RevisionID != nil && *in.RevisionID != revisionID(a) {
			x.refuse(stale())
			return
		}
		w, main, apiErr := l.moved(x, t, a, &in)
		if apiErr != nil {
			x.refuse(apiErr)
			return
		}
		if err := l.router.SetAlias(t.name, name, w, l.options(x, a, &in)...); !errors.Is(err, faas.ErrStale) {
			l.answerAlias(x, t, name, main, http.StatusOK, err)
			return
		}
	}
}

// options returns the options that keep the alias as it was, with the changes of the request.
func (l *Lambda) options(x *exchange, a faas.Alias, in *aliasRequest) []faas.AliasOption {
	if in.Description != nil {
		a.Description = *in.Description
	}
	opts := []faas.AliasOption{faas.IfRevision(a.Revision), faas.WithDescription(a.Description), l.actor(x)}
	if a.Sticky {
		opts = append(opts, faas.WithSticky())
	}
	return opts
}

// moved returns the weights and the main version of an alias after an update.
func (l *Lambda) moved(x *exchange, t target, a faas.Alias, in *aliasRequest) (w faas.Weights, main int, apiErr *apiError) {
	main = l.mains.of(a)
	if in.FunctionVersion == nil && in.RoutingConfig == nil {
		return a.Weights, main, nil
	}
	now, apiErr := l.routing(x, t, splitOf(a.Weights, main), in)
	if apiErr != nil || in.RoutingConfig != nil {
		return now.weights(), now.version, apiErr
	}
	w = maps.Clone(a.Weights) // without rounding: the other weights stay as they are, and only the main version changes
	if n, has := w[main]; has {
		delete(w, main)
		w[now.version] = n
	}
	return w, now.version, nil
}

// manageAlias is manage for a request without a body about one alias. It also returns the
// alias's name.
func (l *Lambda) manageAlias(x *exchange) (t target, name string, ok bool) {
	if t, ok = l.manage(x, nil); !ok {
		return t, "", false
	}
	name = x.r.PathValue("alias")
	if apiErr := checkAliasName(name, true); apiErr != nil {
		x.refuse(apiErr)
		return t, name, false
	}
	return t, name, true
}

func (l *Lambda) getAlias(x *exchange) {
	t, name, ok := l.manageAlias(x)
	if !ok {
		return
	}
	a, found := l.alias(t.name, name)
	if !found {
		x.refuse(notFound("Cannot find alias arn: " + l.address.arn(t.name, name)))
		return
	}
	x.reply(http.StatusOK, "application/json", mustJSON(l.aliasDocument(a)))
}

// deleteAlias answers 204 also if there is no such alias, as Lambda does.
func (l *Lambda) deleteAlias(x *exchange) {
	t, name, ok := l.manageAlias(x)
	if !ok {
		return
	}
	if err := l.router.RemoveAlias(t.name, name, l.actor(x)); err != nil && !errors.Is(err, faas.ErrNotFound) {
		x.refuse(serviceError("The alias could not be deleted.", 0))
		return
	}
	x.reply(http.StatusNoContent, "", nil)
}

// listAliases leaves out the alias with the empty name, because the API has no name for it.
func (l *Lambda) listAliases(x *exchange) {
	t, ok := l.manage(x, nil)
	if !ok {
		return
	}
	size, after, apiErr := page(x.r, isAliasName)
	only, filtered := 0, x.r.URL.Query().Has("FunctionVersion")
	if filtered {
		var known bool
		version := x.r.URL.Query().Get("FunctionVersion")
		if only, known = parseVersion(version); !known {
			apiErr = firstOf(apiErr, checkVersion(version), notFound("Function not found: "+l.address.arn(t.name, version)))
		}
	}
	if apiErr != nil {
		x.refuse(apiErr)
		return
	}
	all, _ := l.router.Aliases(t.name)
	slices.SortFunc(all, func(a, b faas.Alias) int { return strings.Compare(a.Name, b.Name) })
	var doc struct {
		Aliases    []aliasDocument
		NextMarker *string
	}
	doc.Aliases, doc.NextMarker = cut(l.aliasesAfter(all, after, func(a faas.Alias) bool {
		_, invokes := a.Weights[only]
		return !filtered || invokes
	}), size, func(d aliasDocument) string { return d.Name })
	x.reply(http.StatusOK, "application/json", mustJSON(doc))
}

func (l *Lambda) aliasesAfter(all []faas.Alias, after string, passes func(faas.Alias) bool) iter.Seq[aliasDocument] {
	return func(yield func(aliasDocument) bool) {
		for _, a := range all {
			if a.Name > after && passes(a) && !yield(l.aliasDocument(a)) {
				return
			}
		}
	}
}

// alias returns a function's alias of that name.
func (l *Lambda) alias(function, name string) (a faas.Alias, found bool) {
	all, _ := l.router.Aliases(function) // an error means that there is no such function
	for _, a := range all {
		if a.Name == name {
			return a, true
		}
	}
	return a, false
}

// answerAlias answers a request that changed an alias; err is the result of the change. The
// answer describes the alias as it is now: another request may have changed it again, or
// deleted it.
func (l *Lambda) answerAlias(x *exchange, t target, name string, main, status int, err error) {
	if err != nil {
		x.refuse(l.aliasError(t, err))
		return
	}
	a, found := l.alias(t.name, name)
	if !found {
		x.refuse(notFound("Alias not found: " + l.address.arn(t.name, name)))
		return
	}
	l.mains.set(t.name, name, main)
	x.reply(status, "application/json", mustJSON(l.aliasDocument(a)))
}

// aliasError returns the answer for a change that passed the checks here and that the router
// refused: for example, a version was removed in between, or the router is closed.
func (l *Lambda) aliasError(t target, err error) *apiError {
	switch {
	case errors.Is(err, faas.ErrNotFound):
		return l.address.notFound(t)
	case errors.Is(err, faas.ErrInput):
		return invalidParameter(err.Error())
	}
	return serviceError("The alias could not be changed.", 0)
}

// actor returns the option that names the author of an alias's change in the router's Decision.
// The author is the access key; without signed requests the option is nil.
func (l *Lambda) actor(x *exchange) faas.AliasOption {
	if l.secret == nil {
		return nil
	}
	g, _ := parseSignature(first(x.r.Header, "Authorization"))
	return faas.WithActor(g.keyID)
}
