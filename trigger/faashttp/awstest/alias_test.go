package awstest_test

import (
	"context"
	"encoding/base64"
	"io"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faashttp"
)

// versioned makes a router with versions 1 and 2 of f, which returns its input, and with s,
// which returns a stream.
func versioned(t *testing.T) *faas.Router {
	t.Helper()
	r := router(t)
	for n := 1; n <= 2; n++ {
		faas.Register(r, "f", echo, faas.WithVersion(n))
		faas.RegisterStream(r, "s", func(_ context.Context, _ struct{}, w io.Writer) error {
			_, err := io.WriteString(w, "piece")
			return err
		}, faas.WithVersion(n))
	}
	return r
}

// executed calls an alias n times, and counts which versions ran.
func executed(t *testing.T, c *lambda.Client, name, alias string, n int) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for range n {
		in := call(name, "1")
		in.Qualifier = &alias
		out, err := c.Invoke(t.Context(), in)
		require.NoError(t, err)
		counts[*out.ExecutedVersion]++
	}
	return counts
}

func TestTheSDKShiftsTrafficAndTakesItBack(t *testing.T) {
	r := versioned(t)
	c := client(t, host(t, r, faashttp.WithCredentials(func(string) (string, bool) { return "secret", true })))
	f, live := aws.String("f"), aws.String("live")

	made, err := c.CreateAlias(t.Context(), &lambda.CreateAliasInput{FunctionName: f, Name: live, FunctionVersion: aws.String("1")})
	require.NoError(t, err)
	assert.Equal(t, "arn:aws:lambda:us-east-1:000000000000:function:f:live", *made.AliasArn)
	assert.Nil(t, made.RoutingConfig)
	assert.Equal(t, map[string]int{"1": 10}, executed(t, c, "f", "live", 10))

	tenth := &types.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{"2": 0.1}}
	moved, err := c.UpdateAlias(t.Context(), &lambda.UpdateAliasInput{FunctionName: f, Name: live, RoutingConfig: tenth, RevisionId: made.RevisionId})
	require.NoError(t, err)
	assert.Equal(t, tenth, moved.RoutingConfig)
	assert.Equal(t, "1", *moved.FunctionVersion)
	counts := executed(t, c, *made.AliasArn, "live", 100)
	assert.InDelta(t, 10, counts["2"], 1)
	assert.Equal(t, 100, counts["1"]+counts["2"])

	_, err = c.UpdateAlias(t.Context(), &lambda.UpdateAliasInput{FunctionName: f, Name: live, RevisionId: made.RevisionId})
	var stale *types.PreconditionFailedException
	require.ErrorAs(t, err, &stale)

	_, err = c.UpdateAlias(t.Context(), &lambda.UpdateAliasInput{FunctionName: f, Name: live, RoutingConfig: &types.AliasRoutingConfiguration{}})
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"1": 10}, executed(t, c, "f", "live", 10))
	all, err := r.Aliases("f")
	require.NoError(t, err)
	assert.Equal(t, "AKIDLOCAL", all[0].By, "who moved it is known by the signature")

	_, err = c.DeleteAlias(t.Context(), &lambda.DeleteAliasInput{FunctionName: f, Name: live})
	require.NoError(t, err)
	_, err = c.GetAlias(t.Context(), &lambda.GetAliasInput{FunctionName: f, Name: live})
	var missing *types.ResourceNotFoundException
	require.ErrorAs(t, err, &missing)
	assert.Equal(t, "Cannot find alias arn: arn:aws:lambda:us-east-1:000000000000:function:f:live", *missing.Message)
}

func TestOnlySignedRequestsMoveAliases(t *testing.T) {
	r := versioned(t)
	require.NoError(t, r.SetAlias("f", "live", faas.Weights{1: 1}))
	url := host(t, r, faashttp.WithCredentials(func(id string) (string, bool) { return "secret", id == "AKIDLOCAL" }))
	f, live, two := aws.String("f"), aws.String("live"), aws.String("2")
	for want, k := range map[string]aws.CredentialsProvider{
		"InvalidSignatureException":           keys{"AKIDLOCAL", "wrong"},
		"UnrecognizedClientException":         keys{"AKIDOTHER", "secret"},
		"MissingAuthenticationTokenException": aws.AnonymousCredentials{},
	} {
		c := client(t, url, func(o *lambda.Options) { o.Credentials = k })
		_, created := c.CreateAlias(t.Context(), &lambda.CreateAliasInput{FunctionName: f, Name: two, FunctionVersion: two})
		_, updated := c.UpdateAlias(t.Context(), &lambda.UpdateAliasInput{FunctionName: f, Name: live, FunctionVersion: two})
		_, deleted := c.DeleteAlias(t.Context(), &lambda.DeleteAliasInput{FunctionName: f, Name: live})
		_, published := c.PublishVersion(t.Context(), &lambda.PublishVersionInput{FunctionName: f})
		_, unknown := c.UpdateAlias(t.Context(), &lambda.UpdateAliasInput{FunctionName: two, Name: live, FunctionVersion: two})
		for _, err := range []error{created, updated, deleted, published, unknown} {
			var api interface{ ErrorCode() string }
			require.ErrorAs(t, err, &api)
			assert.Equal(t, want, api.ErrorCode())
		}
	}
	all, err := r.Aliases("f")
	require.NoError(t, err)
	require.Len(t, all, 1)
	assert.Equal(t, faas.Weights{1: 1}, all[0].Weights)
}

func TestAliasErrorsHaveTheSDKsTypes(t *testing.T) {
	c := client(t, host(t, versioned(t)))
	in := &lambda.CreateAliasInput{FunctionName: aws.String("f"), Name: aws.String("live"), FunctionVersion: aws.String("1")}
	_, err := c.CreateAlias(t.Context(), in)
	require.NoError(t, err)
	_, err = c.CreateAlias(t.Context(), in)
	var conflict *types.ResourceConflictException
	require.ErrorAs(t, err, &conflict)
	assert.Equal(t, "User", *conflict.Type)

	in.Name, in.FunctionVersion = aws.String("other"), aws.String("9")
	_, err = c.CreateAlias(t.Context(), in)
	var missing *types.ResourceNotFoundException
	require.ErrorAs(t, err, &missing)

	_, err = c.PublishVersion(t.Context(), &lambda.PublishVersionInput{FunctionName: aws.String("f")})
	var parameter *types.InvalidParameterValueException
	require.ErrorAs(t, err, &parameter)
	assert.Contains(t, *parameter.Message, "faas.WithVersion")

	mismatch := call("f:1", "1")
	mismatch.Qualifier = aws.String("2")
	_, err = c.Invoke(t.Context(), mismatch)
	require.ErrorAs(t, err, &parameter)
	assert.Equal(t, "The derived qualifier from the function name does not match the specified qualifier.", *parameter.Message)
}

func TestListsOfVersionsAndAliasesComeByPages(t *testing.T) {
	r := versioned(t)
	for _, name := range []string{"a", "b", "c"} {
		require.NoError(t, r.SetAlias("f", name, faas.Weights{2: 1}))
	}
	c := client(t, host(t, r))
	versions := lambda.NewListVersionsByFunctionPaginator(c, &lambda.ListVersionsByFunctionInput{FunctionName: aws.String("f"), MaxItems: aws.Int32(1)})
	var got []string
	for versions.HasMorePages() {
		page, err := versions.NextPage(t.Context())
		require.NoError(t, err)
		for _, v := range page.Versions {
			got = append(got, *v.Version)
		}
	}
	assert.Equal(t, []string{"1", "2"}, got)
	aliases := lambda.NewListAliasesPaginator(c, &lambda.ListAliasesInput{FunctionName: aws.String("f"), FunctionVersion: aws.String("2"), MaxItems: aws.Int32(2)})
	got = nil
	for aliases.HasMorePages() {
		page, err := aliases.NextPage(t.Context())
		require.NoError(t, err)
		for _, a := range page.Aliases {
			got = append(got, *a.Name)
		}
	}
	assert.Equal(t, []string{"a", "b", "c"}, got)
}

func TestAStreamAndALogSayWhichVersionRan(t *testing.T) {
	r := versioned(t)
	require.NoError(t, r.SetAlias("s", "live", faas.Weights{2: 1}))
	c := client(t, host(t, r))
	out, err := c.InvokeWithResponseStream(t.Context(), &lambda.InvokeWithResponseStreamInput{FunctionName: aws.String("s"), Qualifier: aws.String("live")})
	require.NoError(t, err)
	assert.Equal(t, "2", *out.ExecutedVersion)
	pieces, _ := read(t, out)
	assert.Equal(t, []string{"piece"}, pieces)

	in := call("s:live", "{}")
	in.LogType = types.LogTypeTail
	answer, err := c.Invoke(t.Context(), in)
	require.NoError(t, err)
	log, err := base64.StdEncoding.DecodeString(*answer.LogResult)
	require.NoError(t, err)
	assert.Regexp(t, `^START RequestId: \S+ Version: 2\n`, string(log))
}
