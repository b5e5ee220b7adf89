package faas_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
)

// told returns the envelope that reports a job's end, as JSON.
func told(t *testing.T, follow []faas.JobRecord) string {
	t.Helper()
	require.Len(t, follow, 1)
	return string(follow[0].Payload)
}

// assertText compares the order of the fields too, since a destination may show the text.
func assertText(t *testing.T, want, got string) {
	t.Helper()
	assert.Equal(t, want, got)
}

func TestTheEnvelopeOfAFailureIsLambdas(t *testing.T) {
	t.Parallel()
	rec := resizeJob()
	rec.Attempts = 2
	now := time.Date(2026, 3, 1, 13, 4, 5, 678_900_000, time.FixedZone("", 3600))
	_, follow := faas.AfterDelivery(rec, errJob, ran(), now, undertaker)
	assertText(t, `{"version":"1.0","timestamp":"2026-03-01T12:04:05.678Z",`+
		`"requestContext":{"requestId":"01890a5d-ac96-774b-bcce-b302099a8057",`+
		`"functionArn":"arn:aws:lambda:us-east-1:000000000000:function:resize:$LATEST",`+
		`"condition":"RetriesExhausted","approximateInvokeCount":3},`+
		`"requestPayload":{"n":1},`+
		`"responseContext":{"statusCode":200,"executedVersion":"7","functionError":"Unhandled"},`+
		`"responsePayload":{"errorMessage":"boom","errorType":"errorString"}}`, told(t, follow))
}

func TestTheEnvelopeOfASuccessIsLambdas(t *testing.T) {
	t.Parallel()
	rec, d := resizeJob(), ran()
	rec.Name, d.Version = "resize:live", ""
	_, follow := faas.AfterDelivery(rec, nil, d, jobsBegin, faas.WithOnSuccess(faas.ToFunction("next")))
	assertText(t, `{"version":"1.0","timestamp":"2026-03-01T12:00:00.000Z",`+
		`"requestContext":{"requestId":"01890a5d-ac96-774b-bcce-b302099a8057",`+
		`"functionArn":"arn:aws:lambda:us-east-1:000000000000:function:resize:live",`+
		`"condition":"Success","approximateInvokeCount":1},`+
		`"requestPayload":{"n":1},`+
		`"responseContext":{"statusCode":200,"executedVersion":"$LATEST"},`+
		`"responsePayload":"done"}`, told(t, follow))
}

func TestTheEnvelopeOfWhatNeverRanHasNoResponse(t *testing.T) {
	t.Parallel()
	_, follow := faas.AfterDelivery(resizeJob(), refusedWith(faas.ReasonOff, faas.ErrOverloaded, 0), faas.Delivery{}, jobsBegin, undertaker)
	assertText(t, `{"version":"1.0","timestamp":"2026-03-01T12:00:00.000Z",`+
		`"requestContext":{"requestId":"01890a5d-ac96-774b-bcce-b302099a8057",`+
		`"functionArn":"arn:aws:lambda:us-east-1:000000000000:function:resize:$LATEST",`+
		`"condition":"ZeroReservedConcurrency","approximateInvokeCount":0},"requestPayload":{"n":1}}`, told(t, follow))

	_, follow, _ = faas.Premature(resizeJob(), jobsBegin.Add(6*time.Hour), undertaker)
	assert.NotContains(t, told(t, follow), "response")

	throttled, _ := faas.AfterDelivery(resizeJob(), refusedWith(faas.ReasonOverloaded, faas.ErrOverloaded, 0), faas.Delivery{}, jobsBegin)
	_, follow, _ = faas.Premature(throttled, jobsBegin.Add(6*time.Hour), undertaker)
	assert.Contains(t, told(t, follow), `"requestPayload":{"n":1},"responseContext":{"statusCode":429}}`)
}

func TestAnEnvelopeIsJSONWhateverThePayloadIs(t *testing.T) {
	t.Parallel()
	for payload, want := range map[string]string{
		"": "null", "{}": "{}", `{"a":`: `"{\"a\":"`, "plain text": `"plain text"`, "\xff\x00": `"/wA="`,
	} {
		rec := resizeJob()
		rec.Payload = []byte(payload)
		_, follow := faas.AfterDelivery(rec, faas.Permanent(errJob), ran(), jobsBegin, undertaker)
		var e faas.JobEnvelope
		require.NoError(t, json.Unmarshal([]byte(told(t, follow)), &e))
		assert.Equal(t, want, string(e.RequestPayload))
	}
}

func TestADeliveryToADestinationIsAJobOfItsOwnThatIsPutOnce(t *testing.T) {
	t.Parallel()
	rec := resizeJob()
	rec.Priority, rec.OrderKey, rec.UniqueKey, rec.UniqueFor = 3, "k", "u", time.Hour
	rec.Origin = &faas.JobOrigin{Depth: 4, RequestID: "r-1", Key: "key", Carried: map[string][]byte{"who": {1}}}
	d := ran()
	now := jobsBegin.Add(time.Minute)
	_, follow := faas.AfterDelivery(rec, faas.Permanent(errJob), d, now, undertaker)
	_, again := faas.AfterDelivery(rec, faas.Permanent(errJob), d, now.Add(time.Second), undertaker)
	require.Len(t, follow, 1)
	tell := follow[0]
	assert.Equal(t, tell.ID, again[0].ID) // so a settlement that is repeated puts no second job
	assert.NotEqual(t, rec.ID, tell.ID)
	assert.Equal(t, []string{"undertaker", "", "acme"}, []string{tell.Function, tell.Name, tell.Tenant})
	assert.Equal(t, 3, tell.Priority)
	assert.Equal(t, []time.Time{now, now}, []time.Time{tell.Accepted, tell.Due})
	assert.Empty(t, tell.OrderKey+tell.UniqueKey)
	assert.Equal(t, &faas.JobOrigin{
		Invocation: d.Invocation, Principal: "resize", Depth: 5, RequestID: "r-1", Key: "key",
		Carried: map[string][]byte{"who": {1}}, Job: rec.ID,
	}, tell.Origin)

	_, success := faas.AfterDelivery(rec, nil, d, now, undertaker, faas.WithOnSuccess(faas.ToFunction("undertaker")))
	assert.NotEqual(t, tell.ID, success[0].ID)
}

func TestADeliveryToAGoFuncRunsOnAHostOfTheFunctionAndIsToldToNoDestination(t *testing.T) {
	t.Parallel()
	to := faas.ToFunc(func(context.Context, faas.JobEnvelope) error { return nil })
	_, follow := faas.AfterDelivery(resizeJob(), faas.Permanent(errJob), ran(), jobsBegin, faas.WithOnFailure(to))
	require.Len(t, follow, 1)
	assert.Equal(t, "resize", follow[0].Function)
	assert.Equal(t, faas.DeliversFailure, follow[0].Origin.Delivers)
	_, follow = faas.AfterDelivery(follow[0], faas.Permanent(errJob), ran(), jobsBegin, faas.WithOnFailure(to))
	assert.Empty(t, follow)

	_, follow = faas.AfterDelivery(resizeJob(), nil, ran(), jobsBegin, faas.WithOnSuccess(to))
	assert.Equal(t, faas.DeliversSuccess, follow[0].Origin.Delivers)
	assert.True(t, faas.ToFunc(nil).IsZero())
	assert.False(t, to.IsZero())
}

func TestFunctionsThatAreEachOthersDestinationEnd(t *testing.T) {
	t.Parallel()
	rec := resizeJob()
	rec.Origin = &faas.JobOrigin{Job: uuid.New(), Depth: 17}
	tooDeep := refusedWith(faas.ReasonDepth, faas.ErrDepth, 0)
	dead, follow := faas.AfterDelivery(rec, tooDeep, faas.Delivery{}, jobsBegin, undertaker)
	assert.Equal(t, faas.ConditionNesting, dead.Condition)
	assert.Empty(t, follow)
	rec.Origin = &faas.JobOrigin{Depth: 17} // a handler has sent it, so its end is reported
	_, follow = faas.AfterDelivery(rec, tooDeep, faas.Delivery{}, jobsBegin, undertaker)
	assert.Len(t, follow, 1)
}

func TestARecordKeepsTheFieldsOfALaterRelease(t *testing.T) {
	t.Parallel()
	var rec faas.JobRecord
	in := `{"format":2,"id":"01890a5d-ac96-774b-bcce-b302099a8057","function":"f","state":"Parked","accepted":"2026-03-01T12:00:00Z",` +
		`"due":"2026-03-01T12:00:00Z","color":"blue","list":[1,2,{"a":null}]}`
	require.NoError(t, json.Unmarshal([]byte(in), &rec))
	assert.Equal(t, faas.JobParked, rec.State)
	rec.State = faas.JobReady
	out, err := json.Marshal(rec)
	require.NoError(t, err)
	assertText(t, `{"format":2,"id":"01890a5d-ac96-774b-bcce-b302099a8057","function":"f","state":"Ready","accepted":"2026-03-01T12:00:00Z",`+
		`"due":"2026-03-01T12:00:00Z","color":"blue","list":[1,2,{"a":null}]}`, string(out))

	out, err = json.Marshal(&rec)
	require.NoError(t, err)
	assert.Contains(t, string(out), `"color":"blue"`)
	require.ErrorIs(t, json.Unmarshal([]byte(`{"state":"Dancing"}`), &rec), faas.ErrInput)
	assert.Error(t, json.Unmarshal([]byte(`{"id":7}`), &rec))
	assert.Error(t, json.Unmarshal([]byte(`[]`), &rec))
}

func FuzzJobRecord(f *testing.F) {
	f.Add([]byte(`{"format":1,"state":"Ready","x":[1],"PAYLOAD":"eA==","":{}}`))
	f.Add([]byte(`{"last":{"kind":3},"origin":{"carried":{"a":"AA=="}},"maxAge":-1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var a, b faas.JobRecord
		if json.Unmarshal(data, &a) != nil {
			return
		}
		once, err := json.Marshal(a)
		if err != nil {
			return // JSON can't encode this time
		}
		require.NoError(t, json.Unmarshal(once, &b))
		twice, err := json.Marshal(b)
		require.NoError(t, err)
		require.JSONEq(t, string(once), string(twice))
	})
}

func TestAJobsStateAndNameAreTexts(t *testing.T) {
	t.Parallel()
	for s := range faas.JobState(7) {
		text, err := s.MarshalText()
		require.NoError(t, err)
		var back faas.JobState
		require.NoError(t, back.UnmarshalText(text))
		assert.Equal(t, s, back)
		assert.Equal(t, s == faas.JobSucceeded || s == faas.JobDead || s == faas.JobCanceled, s.IsSettled())
	}
	assert.Equal(t, "JobState(?)", faas.JobState(7).String())
	assert.False(t, faas.JobState(7).IsSettled())
	assert.Error(t, errors.Join(new(faas.JobState).UnmarshalText([]byte("JobState(?)"))))
}
