package main

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// dbEnv is the environment variable with the database. If it is set, the test binary runs the program.
const dbEnv = "OUTBOX_TEST_DB"

func TestMain(m *testing.M) {
	if db := os.Getenv(dbEnv); db != "" {
		if err := run(context.Background(), []string{"-addr", "127.0.0.1:0", "-db", db}, os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

// postgres starts a server and stops it at the end of the test.
func postgres(t *testing.T) (db string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "outbox") //nolint:usetesting // short: it has the socket
	require.NoError(t, err)
	cmd := exec.Command("bash", "../../trigger/faaspg/postgres.sh", dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait() // it says nothing
	})
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
	return "host=" + dir + " user=faas dbname=postgres"
}

// start starts the program and returns its address.
func start(t *testing.T, db string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), dbEnv+"="+db), os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it may have ended
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return cmd, strings.TrimSpace(strings.TrimPrefix(line, "outbox: "))
}

func post(t *testing.T, url, body string) int {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post(url+"/orders", "application/json", strings.NewReader(body))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

func TestEachOrderIsMailedWheneverTheProcessIsKilledAndNoOtherIs(t *testing.T) {
	db, r, taken := postgres(t), rand.New(rand.NewPCG(1, 2)), 0
	for range 3 {
		cmd, url := start(t, db)
		for until := time.Now().Add(time.Duration(200+r.IntN(500)) * time.Millisecond); time.Now().Before(until); taken++ {
			require.Equal(t, http.StatusCreated, post(t, url, fmt.Sprintf(`{"id": "o-%d", "item": "lamp", "cents": 4900}`, taken)))
			require.Equal(t, http.StatusConflict, post(t, url, fmt.Sprintf(`{"id": "free-%d", "item": "lamp", "cents": 0}`, taken)))
		}
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
	}
	cmd, url := start(t, db)
	require.Equal(t, http.StatusConflict, post(t, url, `{"id": "o-0", "item": "lamp", "cents": 1}`))
	require.Equal(t, http.StatusBadRequest, post(t, url, `{}`))
	conn, err := pgx.Connect(t.Context(), db)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	count := func(query string) (n int) {
		require.NoError(t, conn.QueryRow(t.Context(), query).Scan(&n))
		return n
	}
	require.Eventually(t, func() bool { return count(`SELECT count(*) FROM faas_outbox`) == 0 }, 2*time.Minute, 20*time.Millisecond)
	require.Equal(t, taken, count(`SELECT count(*) FROM orders`))
	require.Equal(t, taken, count(`SELECT count(*) FROM orders o JOIN mails m ON m.order_id = o.id`))
	require.Equal(t, taken, count(`SELECT count(*) FROM mails`), "no mail without its order")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(url + "/orders/o-0")
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := bufio.NewReader(resp.Body).ReadString('\n')
	require.NoError(t, err)
	require.JSONEq(t, `{"id": "o-0", "item": "lamp", "cents": 4900, "mailed": true}`, text)
	t.Logf("%d orders, three kills: each is mailed; %d mails ran again", taken, count(`SELECT count(*) FROM mails WHERE runs > 1`))
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
}
