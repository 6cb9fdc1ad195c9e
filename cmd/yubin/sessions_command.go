package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/yubin-mail/yubin/webd"
)

// listSessions answers the command line with what is connected.
func (n *node) listSessions(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(n.sessions()); err != nil {
		n.log.Debug("the command line has gone", "err", err)
	}
}

func (n *node) endSession(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err == nil {
		err = n.disconnect(id)
	}
	if err != nil {
		http.Error(w, "no such session", http.StatusNotFound)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (p *program) sessionsCommand() *cobra.Command {
	var asJSON bool
	list := &cobra.Command{
		Use:   "list",
		Short: "List the connections of the running server",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var all []webd.LiveSession
			if err := p.control(c, http.MethodGet, "/sessions", &all); err != nil {
				return err
			}
			if asJSON {
				return p.printJSON(all)
			}
			if len(all) == 0 {
				p.tell("Nobody is connected.")
				return nil
			}
			var t table
			t.head(p.say("ID\tPROTOCOL\tUSER\tDEVICE\tFROM\tSTATE\tIDLE\tRECEIVED\tSENT"))
			for _, s := range all {
				t.row(strconv.FormatUint(s.ID, 10), s.Proto, orDash(s.User), orDash(s.Device), s.Remote, s.State,
					(time.Duration(s.Idle) * time.Second).String(), size(s.Received).rough(), size(s.Sent).rough())
			}
			return t.print(p.out)
		},
	}
	list.Flags().BoolVar(&asJSON, "json", false, "Answer as JSON.")
	end := &cobra.Command{
		Use:   "disconnect ID...",
		Short: "End connections, in the words of their protocol",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			for _, id := range args {
				if _, err := strconv.ParseUint(id, 10, 64); err != nil {
					return exit{exitUsage, errors.New(p.say("%q is not the number of a session", id))}
				}
				if err := p.control(c, http.MethodDelete, "/sessions/"+id, nil); err != nil {
					return of(id, err)
				}
				p.tell("Ended %s", id)
			}
			return nil
		},
	}
	return parent(&cobra.Command{Use: "sessions", Short: "See who is connected, and end connections"}, list, end)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// control asks the running server something over its control socket.
func (p *program) control(c *cobra.Command, method, path string, answer any) error {
	cfg, err := p.load(c)
	if err != nil {
		return err
	}
	r, err := p.server(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://control"+path, nil)
	if err != nil {
		return err
	}
	client := r.controlClient()
	defer client.CloseIdleConnections()
	reply, err := client.Do(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	switch reply.StatusCode {
	case http.StatusOK:
		return json.NewDecoder(reply.Body).Decode(answer)
	case http.StatusNoContent:
		return nil
	case http.StatusNotFound:
		return errNoSession
	}
	return fmt.Errorf("the server answers %s", reply.Status)
}
