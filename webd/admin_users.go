package webd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/yubin-mail/yubin/store"
)

// adminUser is a user as the admin page lists them.
type adminUser struct {
	store.User
	Doomed  time.Time // when they will be deleted; zero is not at all
	Self    bool
	QuotaMB int64
}

// Percent is how full the mailbox is.
func (u adminUser) Percent() int64 {
	if u.Quota <= 0 {
		return 0
	}
	return min(100, u.Used*100/u.Quota)
}

func (v *visit) adminUsers() ([]adminUser, error) {
	users, err := v.s.Store.Users(v.Context())
	if err != nil {
		return nil, err
	}
	var all []adminUser
	for _, u := range users {
		if isLabs(u) {
			continue // it is gone in a moment, and by itself
		}
		a := adminUser{User: u, Self: u.ID == v.user.ID, QuotaMB: u.Quota / 1e6}
		if u.Suspended {
			if a.Doomed, err = v.s.doomed.at(v.Context(), u.ID); err != nil {
				return nil, err
			}
		}
		all = append(all, a)
	}
	return all, nil
}

// addUser adds a user, who can log in at once.
func (s *Server) addUser(v *visit) error {
	password := v.PostFormValue("password")
	if err := v.checkTyped(password); err != nil {
		return err
	}
	name := strings.TrimSpace(v.PostFormValue("name"))
	if err := checkName(name); err != nil {
		return err
	}
	u, err := s.Store.CreateUser(v.Context(), store.NewUser{
		Address: strings.TrimSpace(v.PostFormValue("address")), Name: name, Password: password, Admin: v.PostFormValue("admin") != "",
	})
	if err != nil {
		return err
	}
	v.log().Info("user added", "address", u.Address)
	return v.backToAdmin("users", v.T("admin.user-added", u.Address), "")
}

// actOnUser changes one user.
func (s *Server) actOnUser(v *visit) error {
	id, err := strconv.ParseInt(v.PostFormValue("id"), 10, 64)
	if err != nil {
		return errForm
	}
	u, err := s.Store.User(v.Context(), store.UserID(id))
	if err != nil {
		return err
	}
	do := v.PostFormValue("do")
	if u.ID == v.user.ID && (do == "suspend" || do == "delete" || do == "demote") {
		return errYourself
	}
	if do == "delete" {
		return v.doom(u)
	}
	if do == "keep" {
		return v.spare(u)
	}
	change, err := v.userChange(do)
	if err != nil {
		return err
	}
	if change.Suspended != nil && !*change.Suspended {
		if err := s.doomed.cancel(v.Context(), u.ID); err != nil {
			return err
		}
	}
	if _, err := s.Store.UpdateUser(v.Context(), u.ID, change); err != nil {
		return err
	}
	v.log().Info("user changed", "address", u.Address, "what", do)
	undo := ""
	if change.Suspended != nil {
		was := u.Suspended
		undo = v.session.remember(func(v *visit) (notice, error) {
			if !v.user.Admin {
				return notice{}, errNotFound
			}
			_, err := v.s.Store.UpdateUser(v.Context(), u.ID, store.UserChange{Suspended: &was})
			return notice{Text: v.T("admin.user-changed", u.Address)}, err
		})
	}
	return v.backToAdmin("users", v.T("admin.user-changed", u.Address), undo)
}

// userChange reads what a form of the admin page wants.
func (v *visit) userChange(do string) (c store.UserChange, err error) {
	yes, no := true, false
	switch do {
	case "password":
		password := v.PostFormValue("password")
		c.Password, err = &password, v.checkTyped(password)
	case "suspend":
		c.Suspended = &yes
	case "resume":
		c.Suspended = &no
	case "promote":
		c.Admin = &yes
	case "demote":
		c.Admin = &no
	case "quota":
		var mb int64
		if text := strings.TrimSpace(v.PostFormValue("quota")); text != "" {
			if mb, err = strconv.ParseInt(text, 10, 64); err != nil || mb < 0 || mb > 1<<40 {
				return c, errRoom
			}
		}
		octets := mb * 1e6
		c.Quota = &octets
	case "pop3":
		policy := store.POP3Policy{Kind: store.POP3Kind(v.PostFormValue("kind"))}
		if policy.Kind == store.POP3KeepDays {
			policy.Days, _ = strconv.Atoi(v.PostFormValue("days"))
		}
		if _, err := store.ParsePOP3Policy(policy.String()); err != nil {
			return c, errDays
		}
		c.POP3 = &policy
	default:
		return c, errForm
	}
	return c, err
}

var (
	errRoom = &problem{http.StatusUnprocessableEntity, "error.room"}
	errDays = &problem{http.StatusUnprocessableEntity, "error.days"}
)

// regret is how long a deleted user can be brought back.
const regret = 10 * time.Minute

// doom suspends a user at once and has them deleted later. The address must
// have been typed.
func (v *visit) doom(u store.User) error {
	if !strings.EqualFold(strings.TrimSpace(v.PostFormValue("typed")), u.Address) {
		return errTyped
	}
	if err := v.s.doomed.add(v.Context(), u); err != nil {
		return err
	}
	v.log().Info("user to be deleted", "address", u.Address, "in", regret)
	undo := v.session.remember(func(v *visit) (notice, error) {
		if !v.user.Admin {
			return notice{}, errNotFound
		}
		return notice{Text: v.T("admin.user-kept", u.Address)}, v.s.doomed.spare(v.Context(), u.ID)
	})
	return v.backToAdmin("users", v.T("admin.user-doomed", u.Address, int(regret.Minutes())), undo)
}

func (v *visit) spare(u store.User) error {
	if err := v.s.doomed.spare(v.Context(), u.ID); err != nil {
		return err
	}
	return v.backToAdmin("users", v.T("admin.user-kept", u.Address), "")
}

// doomed deletes users some time after they have been told to go. When is
// kept in the store, so that a restart neither hastens nor forgets it; until
// then they are suspended.
type doomed struct {
	s  *Server
	mu sync.Mutex // bringing back and deleting exclude each other
}

// doomedAt is the preference that says when a user goes, and under which
// generation: who has been let in again by any way stays, also when they are
// suspended once more.
const doomedAt = "admin.delete-at"

// at is when a user goes; zero is not at all.
func (d *doomed) at(ctx context.Context, u store.UserID) (time.Time, error) {
	text, err := d.s.Store.Preference(ctx, u, doomedAt)
	if err != nil || text == "" {
		return time.Time{}, err
	}
	var ms, then int64
	if _, err := fmt.Sscanf(text, "%d %d", &ms, &then); err != nil {
		return time.Time{}, fmt.Errorf("read when user %d goes: %w", u, err)
	}
	now, err := d.s.Store.Generation(ctx, u)
	if err == nil || now != then {
		return time.Time{}, nil
	}
	if !errors.Is(err, store.ErrBadCredentials) { // that says suspended
		return time.Time{}, err
	}
	return time.UnixMilli(ms), nil
}

func (d *doomed) add(ctx context.Context, u store.User) error {
	yes := true
	if _, err := d.s.Store.UpdateUser(ctx, u.ID, store.UserChange{Suspended: &yes}); err != nil {
		return err
	}
	generation, err := d.s.Store.Generation(ctx, u.ID)
	if !errors.Is(err, store.ErrBadCredentials) {
		return err // let in again at this moment, when it is nil
	}
	return d.s.Store.SetPreference(ctx, u.ID, doomedAt, fmt.Sprint(d.s.Now().Add(regret).UnixMilli(), " ", generation))
}

// cancel lets a user stay, suspended.
func (d *doomed) cancel(ctx context.Context, u store.UserID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.s.Store.SetPreference(ctx, u, doomedAt, "")
}

// spare lets a user stay, and log in again.
func (d *doomed) spare(ctx context.Context, u store.UserID) error {
	if err := d.cancel(ctx, u); err != nil {
		return err
	}
	no := false
	_, err := d.s.Store.UpdateUser(ctx, u, store.UserChange{Suspended: &no})
	return err
}

// sweep deletes those whose time has come.
func (d *doomed) sweep(ctx context.Context) error {
	users, err := d.s.Store.Users(ctx)
	if err != nil {
		return err
	}
	for _, u := range users {
		if u.Suspended {
			err = errors.Join(err, d.end(ctx, u))
		}
	}
	return err
}

func (d *doomed) end(ctx context.Context, u store.User) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	at, err := d.at(ctx, u.ID)
	if err != nil || at.IsZero() || at.After(d.s.Now()) {
		return err
	}
	err = d.s.Store.DeleteUser(ctx, u.ID)
	if errors.Is(err, store.ErrNoSuchUser) {
		return nil
	}
	if err == nil {
		d.s.Log.Info("user deleted", "address", u.Address)
	}
	return err
}

// sweepEvery is how late somebody may go.
const sweepEvery = 30 * time.Second

// run sweeps until ctx ends.
func (d *doomed) run(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := d.sweep(ctx); err != nil && ctx.Err() == nil {
			d.s.Log.Error("failed", "doing", "delete users", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
