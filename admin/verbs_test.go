package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/admin"
	"github.com/inproc/faas/trigger/source"
)

// about says whose right an endpoint needs.
type about string

const (
	anything about = "anything" // any principal gets it
	list     about = "list"     // any principal gets it, with what it may see
	sight    about = "sight"    // a function that the principal may see for one tenant at least
	object   about = "object"   // a call or a job, of a function and a tenant
	shared   about = "shared"   // a function, for all its tenants
	host     about = "host"     // the host
)

// scene is a world in which these things have happened, all for acme, with an input that only
// acme may see: broken has failed, mail has a dead and a waiting job, deaf has a runaway, and
// boom has panicked.
type scene struct {
	*world

	failure, panicked, runaway, dead, waiting string
	release                                   chan struct{}
	asked                                     int // calls of the authorizer
}

const secret = "secret-of-4711"

func newScene(tb testing.TB) *scene {
	tb.Helper()
	s := &scene{release: make(chan struct{})}
	s.world = newWorld(tb)
	s.ring.KeepErrors()
	r := s.router
	faas.Register(r, "broken", func(_ context.Context, in string) (string, error) { return "", fmt.Errorf("can't take %s", in) })
	faas.Register(r, "boom", func(context.Context, string) (string, error) { panic("no") })
	faas.Register(r, "mail", func(_ context.Context, in string) (string, error) {
		return "", faas.Permanent(fmt.Errorf("no box %s", in))
	})
	faas.Register(r, "deaf", func(context.Context, string) (string, error) {
		<-s.release
		return "", nil
	}, faas.WithTimeout(time.Second))
	for _, name := range []string{"broken", "boom", "deaf"} {
		require.Error(tb, s.call(name, "acme", `"`+secret+`"`))
	}
	time.Sleep(time.Second)
	for c := range s.ring.All() {
		switch c.Function {
		case "broken":
			s.failure = c.ID.String()
		case "boom":
			s.panicked = c.ID.String()
		}
	}
	s.runaway = r.Runaways()[0].ID.String()
	s.dead, s.waiting = s.send(), s.send(faas.WithDelay(time.Hour))
	synctest.Wait()
	driver, err := source.Drive(r, &source.Memory{}, source.To("mail"), source.WithName("inbox"))
	require.NoError(tb, err)
	book := s.books()
	s.api = admin.Handler(r, admin.WithAuthorize(s.permit), admin.WithAudit(s.audit), admin.WithWrites(), admin.WithRecorder(s.rec), admin.WithRing(s.ring),
		admin.WithTail(s.tail), admin.WithLedger(s.ledger, book), admin.WithBudgets(s.budgets), admin.WithDrivers(driver))
	return s
}

func (s *scene) permit(ctx context.Context, p access.Principal, a admin.Action) error {
	s.mu.Lock()
	s.asked++
	s.mu.Unlock()
	return rules.Permit(ctx, p, a)
}

func (s *scene) send(opts ...faas.SendOption) string {
	job, err := s.router.Send(faas.WithTenant(s.tb.Context(), "acme"), "mail", []byte(`"`+secret+`"`), opts...)
	require.NoError(s.tb, err)
	return job.ID().String()
}

// target is a request to an endpoint.
type target struct {
	about    about
	function string // the function that the request is about
	path     string
	body     string
}

// targets returns a request for each verb.
func (s *scene) targets() map[string]target {
	return map[string]target{
		"host.get":        {anything, "", "/v1/host", ""},
		"openapi.get":     {anything, "", "/v1/openapi.json", ""},
		"process.get":     {host, "", "/v1/process", ""},
		"capacity.set":    {host, "", "/v1/capacity", `{"capacity":10}`},
		"audit.list":      {list, "", "/v1/audit", ""},
		"function.list":   {list, "", "/v1/functions", ""},
		"function.get":    {sight, "broken", "/v1/functions/broken", ""},
		"version.list":    {sight, "broken", "/v1/functions/broken/versions", ""},
		"alias.list":      {sight, "resize", "/v1/functions/resize/aliases", ""},
		"alias.set":       {shared, "resize", "/v1/functions/resize/aliases/live", `{"weights":{"2":1}}`},
		"alias.remove":    {shared, "resize", "/v1/functions/resize/aliases/live", ""},
		"limit.set":       {shared, "broken", "/v1/functions/broken/limit", `{"limit":3}`},
		"decision.list":   {list, "", "/v1/decisions", ""},
		"series.get":      {list, "", "/v1/series", ""},
		"failure.list":    {list, "", "/v1/failures", ""},
		"failure.get":     {object, "broken", "/v1/failures/" + s.failure, ""},
		"failure.input":   {object, "broken", "/v1/failures/" + s.failure + "/input", ""},
		"failure.stack":   {object, "boom", "/v1/failures/" + s.panicked + "/stack", ""},
		"failure.replay":  {object, "broken", "/v1/failures/" + s.failure + "/replay", `{}`},
		"function.invoke": {object, "broken", "/v1/functions/broken/invoke", `{"tenant":"acme","input":"x"}`},
		"runaway.list":    {list, "", "/v1/runaways", ""},
		"runaway.stack":   {object, "deaf", "/v1/runaways/" + s.runaway + "/stack", ""},
		"usage.get":       {list, "", "/v1/usage?by=function,tenant", ""},
		"tenant.list":     {list, "", "/v1/tenants", ""},
		"budget.list":     {list, "", "/v1/budgets", ""},
		"budget.set":      {host, "", "/v1/budgets/calls/limit", `{"account":"acme","limit":"200 calls"}`},
		"job.list":        {list, "", "/v1/jobs", ""},
		"job.dead":        {list, "", "/v1/dead-letters", ""},
		"job.get":         {object, "mail", "/v1/jobs/" + s.dead, ""},
		"job.input":       {object, "mail", "/v1/jobs/" + s.dead + "/input", ""},
		"job.output":      {object, "mail", "/v1/jobs/" + s.dead + "/output", ""},
		"job.cancel":      {object, "mail", "/v1/jobs/" + s.waiting + "/cancel", `{}`},
		"job.replay":      {object, "mail", "/v1/jobs/" + s.dead + "/replay", `{}`},
		"jobs.cancel":     {list, "", "/v1/jobs/cancel", `{"filter":{}}`},
		"jobs.replay":     {list, "", "/v1/jobs/replay", `{"filter":{}}`},
		"jobs.purge":      {list, "", "/v1/jobs/purge", `{"filter":{}}`},
		"source.list":     {list, "", "/v1/sources", ""},
		"source.pause":    {shared, "mail", "/v1/sources/inbox/pause", `{}`},
		"source.resume":   {shared, "mail", "/v1/sources/inbox/resume", `{}`},
		"event.stream":    {list, "", "/v1/events", ""},
		"log.stream":      {list, "", "/v1/log/events", ""},
		"log.list":        {list, "", "/v1/log", ""},
	}
}

// viewers are the principals of the table, each with the words that no answer to it may
// contain.
var viewers = []struct {
	name   string
	who    access.Principal
	hidden []string
}{
	{"no principal", nobody, []string{"acme", secret, "broken", "resize", "mail", "deaf", "boom", "goroutine ", "inbox"}},
	{"wrong tenant", access.Principal{Kind: access.User, ID: "bob", Tenant: "bolt", Roles: []string{"tenant"}}, []string{"acme", secret, "goroutine ", "inbox"}},
	{"wrong function", other, []string{"acme", secret, "broken", "resize", "mail", "deaf", "boom", "goroutine ", "inbox"}},
	{"see only", viewer, []string{secret, "goroutine "}},
	{"everything", root, nil},
}

// isPermitted returns what the rules say about a verb. It is computed without package access.
func isPermitted(who access.Principal, right access.Right, t target) bool {
	may := func(a access.Action) bool {
		a.Right, a.Function = right, t.function
		return rules.Permit(context.Background(), who, a) == nil
	}
	switch t.about {
	case anything, list:
		return true
	case sight:
		return may(access.Action{AllTenants: true}) || may(access.Action{Tenant: who.Tenant})
	case object:
		return may(access.Action{Tenant: "acme"})
	case shared, host:
		return may(access.Action{AllTenants: true})
	}
	return false
}

func TestEachVerbIsAuthorisedAndAudited(t *testing.T) {
	t.Parallel()
	for _, verb := range admin.Verbs() {
		t.Run(verb.Name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				defer close(s.release)
				target, ok := s.targets()[verb.Name]
				require.True(t, ok, "the table has no request for the verb")
				absent := s.do(viewers[1].who, verb.Method, "/v1/nothing", "")
				for _, v := range viewers { // root comes last, since its requests change the world
					offBeat()
					status, body := s.ask(verb, target, v.who)
					e := s.last()
					assert.Equal(t, []any{v.who, status, verb.Method}, []any{e.Principal, e.Status, e.Method}, v.name)
					assert.NotEmpty(t, e.From)
					for _, word := range v.hidden {
						assert.NotContains(t, body, word, v.name)
					}
					switch {
					case v.who.Kind == access.Anonymous:
						assert.Equal(t, []any{http.StatusUnauthorized, admin.ResultDenied}, []any{status, e.Result}, v.name)
					case !isPermitted(v.who, verb.Right, target):
						assert.Equal(t, []any{verb.Name, verb.Right}, []any{e.Verb, e.Right}, v.name)
						assert.Equal(t, []any{http.StatusNotFound, admin.ResultDenied}, []any{status, e.Result}, v.name)
						assert.Equal(t, absent.Body.String(), body, "%s: denied is as absent", v.name)
					default:
						assert.Equal(t, http.StatusOK, status, "%s: %s", v.name, body)
						assert.Equal(t, []any{verb.Name, verb.Right}, []any{e.Verb, e.Right}, v.name)
					}
				}
			})
		})
	}
}

// ask sends a request to an endpoint. It reads a stream for two seconds.
func (s *scene) ask(verb admin.Verb, t target, who access.Principal) (status int, body string) {
	if verb.Stream && who.Kind != access.Anonymous {
		c := s.open(who, t.path, "")
		time.Sleep(2 * time.Second)
		for _, e := range c.take() {
			body += e.data + "\n"
		}
		c.close()
		return http.StatusOK, body
	}
	a := s.do(who, verb.Method, t.path, t.body)
	return a.Code, a.Body.String()
}

func TestWhatIsDeniedTakesAsManyQuestionsAsWhatIsAbsent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		defer close(s.release)
		const none = "0190a7a2-0000-7000-8000-000000000000"
		ids := strings.NewReplacer(s.failure, none, s.panicked, none, s.runaway, none, s.dead, none, s.waiting, none)
		for _, verb := range admin.Verbs() {
			target := s.targets()[verb.Name]
			nothing := ids.Replace(target.path)
			if target.about != object || nothing == target.path {
				continue
			}
			s.asked = 0
			denied := s.do(other, verb.Method, target.path, target.body)
			there := s.asked
			s.asked = 0
			absent := s.do(other, verb.Method, nothing, target.body)
			assert.Equal(t, there, s.asked, verb.Name)
			assert.Equal(t, answer(absent), answer(denied), verb.Name)
		}
	})
}

// answer returns everything that a client gets.
func answer(a *httptest.ResponseRecorder) string {
	return fmt.Sprint(a.Code, a.Header(), a.Body.String())
}
