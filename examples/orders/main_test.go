package main

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// dirEnv is the environment variable with the directory. If it is set, the test binary runs the
// program.
const dirEnv = "ORDERS_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(dirEnv); dir != "" {
		if err := run(context.Background(), []string{"-addr", "127.0.0.1:0", "-dir", dir}, os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

// start starts the program and returns its address.
func start(t *testing.T, dir string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), dirEnv+"="+dir), os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it may have ended
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return cmd, strings.TrimSpace(strings.TrimPrefix(line, "orders: "))
}

func TestEachOrderIsChargedOnceWheneverTheProcessIsKilled(t *testing.T) {
	dir, r := t.TempDir(), rand.New(rand.NewPCG(1, 2))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	accepted := 0
	for range 3 {
		cmd, url := start(t, dir)
		for until := time.Now().Add(time.Duration(200+r.IntN(500)) * time.Millisecond); time.Now().Before(until); {
			order := fmt.Sprintf(`{"id": "o-%d", "item": "lamp", "cents": 4900}`, accepted)
			for range 2 { // the customer is impatient
				resp, err := client.Post(url+"/orders", "application/json", strings.NewReader(order))
				require.NoError(t, err)
				resp.Body.Close()
				require.Equal(t, http.StatusAccepted, resp.StatusCode)
			}
			accepted++
		}
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
	}
	cmd, url := start(t, dir)
	for n := range accepted {
		require.Eventually(t, func() bool {
			resp, err := client.Get(fmt.Sprintf("%s/orders/o-%d", url, n))
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			text, err := bufio.NewReader(resp.Body).ReadString('\n')
			return err == nil && strings.TrimSpace(text) == `["charge","mail","stock"]`
		}, 2*time.Minute, 20*time.Millisecond, "order %d", n)
	}
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed

	b, err := openBooks(filepath.Join(dir, "books"))
	require.NoError(t, err)
	defer b.Close()
	var charged, again int
	require.NoError(t, b.QueryRow(`SELECT count(*), sum(runs > 1) FROM done WHERE step = 'charge'`).Scan(&charged, &again))
	require.GreaterOrEqual(t, charged, accepted)
	require.LessOrEqual(t, charged, accepted+3, "an order that was not answered may have been accepted")
	t.Logf("%d orders, three kills: each is charged once; %d charges ran again, and found the first", accepted, again)
}

func TestWhatIsNoOrderIsRefused(t *testing.T) {
	_, url := start(t, t.TempDir())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, body := range []string{"", "{}", "[1]", `{"id": ""}`} {
		resp, err := client.Post(url+"/orders", "application/json", strings.NewReader(body))
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, http.StatusBadRequest, resp.StatusCode, body)
	}
}
