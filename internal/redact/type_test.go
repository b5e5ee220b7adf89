package redact_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/inproc/faas/internal/redact"
)

type (
	hidden  struct{}
	pointed struct{}
	asJSON  struct{}
	panics  struct{}
	shown   string
	list    struct {
		Next *list
		Any  any
	}
	deep struct {
		List *list
		M    map[string][2][]*struct{ h hidden }
	}
)

func (hidden) MarshalText() ([]byte, error)   { return []byte(redact.Text), nil }
func (*pointed) MarshalText() ([]byte, error) { return []byte(redact.Text), nil }
func (asJSON) MarshalJSON() ([]byte, error)   { return json.Marshal(redact.Text) }
func (panics) MarshalText() ([]byte, error)   { panic("boom") }
func (shown) MarshalText() ([]byte, error)    { return []byte("shown"), nil }

func TestATypeIsLookedThroughForValuesThatHideThemselves(t *testing.T) {
	t.Parallel()
	for _, v := range []any{
		hidden{},
		&hidden{},
		pointed{},
		asJSON{},
		[]hidden{},
		[3]*hidden{},
		map[string]hidden{},
		map[hidden]int{},
		deep{},
		struct{ hidden }{},
		struct{ a []struct{ b **pointed } }{},
		struct {
			panics
			b asJSON
		}{},
	} {
		assert.True(t, redact.Hides(reflect.TypeOf(v)), "%T", v)
	}
	for _, v := range []any{1, "", []byte{}, list{}, map[string]any{}, struct{ any }{}, time.Time{}, shown(""), panics{}, json.RawMessage{}, [1 << 30]struct{}{}, func() {}, make(chan hidden)} {
		assert.False(t, redact.Hides(reflect.TypeOf(v)), "%T", v)
	}
}
