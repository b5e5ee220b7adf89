package access_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/access"
)

func newTokens(t *testing.T, stored ...access.Token) *access.Tokens {
	t.Helper()
	tokens, err := access.NewTokens(stored...)
	require.NoError(t, err)
	return tokens
}

func issue(t *testing.T, tokens *access.Tokens, p access.Principal, lasts time.Duration) (access.Secret, access.Token) {
	t.Helper()
	secret, stored, err := tokens.Issue(p, lasts)
	require.NoError(t, err)
	return secret, stored
}

func TestATokenIsKnownByItsDigestAlone(t *testing.T) {
	t.Parallel()
	secret, stored := issue(t, newTokens(t), ana, 0)
	text, err := json.Marshal(stored)
	require.NoError(t, err)
	assert.NotContains(t, string(text), secret.Reveal())
	var read access.Token
	require.NoError(t, json.Unmarshal(text, &read))
	assert.Equal(t, stored, read)

	p, err := newTokens(t, read).Principal(secret)
	require.NoError(t, err)
	assert.Equal(t, ana, p)
	assert.NotContains(t, fmt.Sprintf("%+v %#v", newTokens(t, read), read), secret.Reveal())
}

func TestTokensAreRotatedWithoutAGap(t *testing.T) {
	t.Parallel()
	tokens := newTokens(t)
	old, oldStored := issue(t, tokens, ana, 0)
	fresh, _ := issue(t, tokens, ana, 0)
	for _, s := range []access.Secret{old, fresh} {
		p, err := tokens.Principal(s)
		require.NoError(t, err)
		assert.Equal(t, "ana", p.ID)
	}
	assert.True(t, tokens.Revoke(oldStored.Digest))
	assert.False(t, tokens.Revoke(oldStored.Digest))
	_, err := tokens.Principal(old)
	require.ErrorIs(t, err, access.ErrCredentials)
	_, err = tokens.Principal(fresh)
	assert.NoError(t, err)
}

func TestATokenEndsWithItsExpiry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tokens := newTokens(t)
		secret, stored := issue(t, tokens, ana, time.Hour)
		forever, _ := issue(t, tokens, bob, 0)
		time.Sleep(time.Hour - 1)
		_, err := tokens.Principal(secret)
		require.NoError(t, err)
		assert.Zero(t, tokens.Prune())
		time.Sleep(time.Nanosecond)
		_, err = tokens.Principal(secret)
		require.ErrorIs(t, err, access.ErrCredentials)
		assert.ErrorContains(t, err, "expired")
		assert.Equal(t, 1, tokens.Prune())
		assert.False(t, tokens.Revoke(stored.Digest), "it is forgotten")
		_, err = tokens.Principal(forever)
		require.NoError(t, err)

		require.NoError(t, tokens.Add(stored))
		stored.Expires = time.Now().Add(time.Minute)
		require.NoError(t, tokens.Add(stored), "it can be given more time")
		_, err = tokens.Principal(secret)
		assert.NoError(t, err)
	})
}

func TestATokenIsForSomebodyOutside(t *testing.T) {
	t.Parallel()
	d := access.DigestOf(access.NewSecret("x"))
	for _, bad := range []access.Token{
		{Principal: ana}, {Digest: d}, {Digest: d, Principal: access.Principal{Kind: access.Function, ID: "f"}},
	} {
		_, err := access.NewTokens(bad)
		require.ErrorIs(t, err, access.ErrSetup)
	}
	_, _, err := newTokens(t).Issue(access.Principal{}, 0)
	require.ErrorIs(t, err, access.ErrSetup)
	_, _, err = newTokens(t).Issue(ana, -1)
	require.ErrorIs(t, err, access.ErrSetup)
}

func TestADigestThatIsNoneIsNotRepeatedInTheError(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"my-token", "sha256:my-token", "sha256:" + strings.Repeat("zz", 32), ""} {
		var d access.Digest
		err := d.UnmarshalText([]byte(text))
		require.ErrorIs(t, err, access.ErrSetup)
		assert.NotContains(t, err.Error(), "my-token")
		assert.NotContains(t, err.Error(), "zz")
	}
}

func TestTokensMayBeUsedByManyAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tokens := newTokens(t)
		keep, _ := issue(t, tokens, ana, 0)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 200 {
					s, stored, err := tokens.Issue(bob, time.Hour)
					assert.NoError(t, err)
					_, err = tokens.Principal(s)
					assert.NoError(t, err)
					tokens.Prune()
					assert.True(t, tokens.Revoke(stored.Digest))
					_, err = tokens.Principal(keep)
					assert.NoError(t, err)
				}
			})
		}
		wg.Wait()
	})
}

// The time of a look-up must not show how much of a wrong token is right. The test is Welch's t-test on
// the timings of two kinds of wrong tokens in random order, as in dudect (Reparaz, Balasch,
// Verbauwhede, "Dude, is my code constant time?", 2017), with the same threshold, 4.5. To show that the
// test works, it must also detect a comparison that ends at the first difference.
func TestG05_HowMuchOfATokenIsRightCannotBeTimed(t *testing.T) {
	if os.Getenv("FAAS_SOAK") == "" {
		t.Skip("measures; set FAAS_SOAK=1")
	}
	const size = 4096 // long, so that an early end shows
	right := strings.Repeat("a", size)
	tokens := newTokens(t, access.Token{Digest: access.DigestOf(access.NewSecret(right)), Principal: ana})
	compare := func(guess string) bool { _, err := tokens.Principal(access.NewSecret(guess)); return err == nil }
	leaky := func(guess string) bool {
		for i := range size {
			if guess[i] != right[i] {
				return false
			}
		}
		return true
	}
	none := "b" + right[1:]
	assert.Greater(t, distinguish(leaky, none, right[:size-1]+"b"), 4.5, "the test sees what it is for")
	for _, n := range []int{1, 16, 256, 1024, 2048, size - 1} {
		guess := right[:n] + "b" + right[n+1:]
		got := distinguish(compare, none, guess)
		t.Logf("%d right bytes: |t| = %.2f", n, got)
		assert.Less(t, got, 4.5, "%d right bytes", n)
	}
}

// distinguish returns |t| of 10,000 timings of each kind. It leaves out the slowest tenth,
// which the machine and not the code has made slow.
func distinguish(f func(string) bool, a, b string) float64 {
	const n = 10_000
	times := [2][]float64{}
	for len(times[0]) < n || len(times[1]) < n {
		class := rand.IntN(2)
		guess := strings.Clone([]string{a, b}[class])
		began := time.Now()
		if f(guess) {
			panic("a wrong token is right")
		}
		times[class] = append(times[class], float64(time.Since(began)))
	}
	ma, va := moments(times[0])
	mb, vb := moments(times[1])
	return math.Abs(ma-mb) / math.Sqrt(va+vb)
}

func moments(x []float64) (mean, varianceOfMean float64) {
	slices.Sort(x)
	x = x[:len(x)*9/10]
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		varianceOfMean += (v - mean) * (v - mean)
	}
	n := float64(len(x))
	return mean, varianceOfMean / (n - 1) / n
}
