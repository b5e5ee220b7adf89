package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faaspg"
)

// order is what a customer sends.
type order struct {
	ID    string `json:"id"`
	Item  string `json:"item"`
	Cents int64  `json:"cents"`
}

// shop takes orders, and sends a mail for each.
type shop struct {
	pool *pgxpool.Pool
	mail *faas.Function[order, struct{}]
}

func newShop(r *faas.Router, pool *pgxpool.Pool) *shop {
	s := &shop{pool: pool}
	s.mail = faas.Register(r, "mail", s.send, faas.WithRetry(faas.Retry{Max: 10, First: time.Second, Factor: 2, Longest: time.Minute}))
	return s
}

// send stands for a mail server: it writes down that the mail was sent. Like any job it may run again after a
// crash. Then the row exists, as a real mail server would recognize the mail by the order's ID.
func (s *shop) send(ctx context.Context, o order) (struct{}, error) {
	_, err := s.pool.Exec(ctx, `INSERT INTO mails (order_id) VALUES ($1) ON CONFLICT (order_id) DO UPDATE SET runs = mails.runs + 1`, o.ID)
	return struct{}{}, err
}

// take writes an order and its mail in one transaction. The mail is written first, to show that it is undone with
// the order: the database refuses an ID that exists already, and an order for 0 cents or less.
func (s *shop) take(w http.ResponseWriter, req *http.Request) {
	var o order
	if err := json.NewDecoder(http.MaxBytesReader(w, req.Body, 1<<16)).Decode(&o); err != nil || o.ID == "" {
		http.Error(w, "an order has an id, an item and cents", http.StatusBadRequest)
		return
	}
	err := pgx.BeginFunc(req.Context(), s.pool, func(tx pgx.Tx) error {
		if _, err := faaspg.SendTx(req.Context(), tx, s.mail, o); err != nil {
			return err
		}
		_, err := tx.Exec(req.Context(), `INSERT INTO orders VALUES ($1, $2, $3)`, o.ID, o.Item, o.Cents)
		return err
	})
	var refused *pgconn.PgError
	switch {
	case err == nil:
		w.WriteHeader(http.StatusCreated)
	case errors.As(err, &refused) && refused.Code[:2] == "23": // a constraint is violated
		http.Error(w, refused.Message, http.StatusConflict)
	default:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

// show answers with an order, and whether its mail was sent.
func (s *shop) show(w http.ResponseWriter, req *http.Request) {
	var shown struct {
		order

		Mailed bool `json:"mailed"`
	}
	err := s.pool.QueryRow(req.Context(), `
SELECT o.id, o.item, o.cents, m.order_id IS NOT NULL FROM orders o LEFT JOIN mails m ON m.order_id = o.id WHERE o.id = $1`,
		req.PathValue("id")).Scan(&shown.ID, &shown.Item, &shown.Cents, &shown.Mailed)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		http.Error(w, "there is no such order", http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(shown) // only the connection can fail
	}
}
