package faasevents_test

import (
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/trigger/faasevents"
)

func TestAMistakeInTheLanguageIsAPatternError(t *testing.T) {
	t.Parallel()
	_, err := faasevents.Compile(`{"a": [{"perfix": "x"}]}`)
	var wrong *faasevents.PatternError
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, "/a/0/perfix", wrong.Path)
	require.Contains(t, err.Error(), "faasevents: /a/0/perfix: ")
	require.Panics(t, func() { faasevents.MustCompile(`{`) })
	_, err = faasevents.Compile(``)
	require.ErrorContains(t, err, "faasevents: the pattern: not JSON")
	require.Equal(t, "{}", faasevents.Pattern{}.String())
	_, err = faasevents.Pattern{}.MatchJSON([]byte(`{`))
	require.ErrorContains(t, err, "faasevents: ")
}

// An attribute matches in the same way in every mode: in a header, a number is text.
func TestAnAttributeMatchesAsTextAndAsWhatItReadsAs(t *testing.T) {
	t.Parallel()
	typed, text := event(t), event(t)
	typed.SetExtension("retries", 3)
	typed.SetExtension("urgent", true)
	text.SetExtension("retries", "3")
	text.SetExtension("urgent", "true")
	for _, e := range []cloudevents.Event{typed, text} {
		for pattern, want := range map[string]bool{
			`{"retries": [3]}`:                                 true,
			`{"retries": ["3"]}`:                               true,
			`{"retries": [{"numeric": [">", 2]}]}`:             true,
			`{"retries": [{"numeric": [">", 3]}]}`:             false,
			`{"retries": [3.0]}`:                               true,
			`{"retries": [{"anything-but": 3}]}`:               false,
			`{"urgent": [true]}`:                               true,
			`{"urgent": [false]}`:                              false,
			`{"urgent": ["true"]}`:                             true,
			`{"type": ["com.example.test"]}`:                   true,
			`{"type": [{"numeric": [">", 0]}]}`:                false,
			`{"source": [{"wildcard": "/shops/*"}]}`:           true,
			`{"id": [{"exists": true}]}`:                       true,
			`{"subject": [{"exists": false}]}`:                 true,
			`{"dataschema": [{"exists": false}]}`:              true,
			`{"time": [{"prefix": "2026-"}]}`:                  true,
			`{"specversion": ["1.0"]}`:                         true,
			`{"datacontenttype": ["application/json"]}`:        true,
			`{"data": {"total": [{"numeric": [">", 100]}]}}`:   true,
			`{"data": {"total": ["120"]}}`:                     false, // data is what it is
			`{"data": [{"exists": true}]}`:                     false, // it is an object
			`{"$or": [{"type": ["x"]}, {"data": {"a": [5]}}]}`: false,
		} {
			require.Equal(t, want, faasevents.MustCompile(pattern).Match(e), pattern)
		}
	}
}

func TestDataThatIsNoJSONIsOneTextOrNothing(t *testing.T) {
	t.Parallel()
	e := event(t)
	require.NoError(t, e.SetData("text/plain", []byte("hello")))
	require.True(t, faasevents.MustCompile(`{"data": ["hello"]}`).Match(e))
	require.NoError(t, e.SetData("application/octet-stream", []byte{0xff, 0xfe}))
	require.True(t, faasevents.MustCompile(`{"data": [{"exists": false}]}`).Match(e))
	require.NoError(t, e.SetData("application/vnd.example+json", []byte(`{"a": 5}`)))
	require.True(t, faasevents.MustCompile(`{"data": {"a": [5]}}`).Match(e))
	e.DataEncoded = []byte(`{"a": `)
	require.True(t, faasevents.MustCompile(`{"data": {"a": [{"exists": false}]}}`).Match(e))
	require.True(t, faasevents.Pattern{}.Match(e))
	require.True(t, faasevents.Pattern{}.Match(cloudevents.Event{}), "nor does an event without attributes trouble it")
}

// event returns the event that the tests use.
func event(tb testing.TB) cloudevents.Event {
	tb.Helper()
	e := cloudevents.NewEvent()
	e.SetID("1")
	e.SetType("com.example.test")
	e.SetSource("/shops/7")
	e.SetTime(day)
	require.NoError(tb, e.SetData(cloudevents.ApplicationJSON, map[string]any{"total": 120}))
	return e
}
