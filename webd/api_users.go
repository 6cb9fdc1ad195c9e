package webd

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/yubin-mail/yubin/store"
)

// apiUser is a user as the API gives it.
type apiUser struct {
	Address   string    `json:"address"`
	Name      string    `json:"name"`
	Used      int64     `json:"used"`
	Quota     int64     `json:"quota"`
	POP3      string    `json:"pop3"`
	Suspended bool      `json:"suspended"`
	Admin     bool      `json:"admin"`
	Created   time.Time `json:"created"`
	LastPOP3  time.Time `json:"last_pop3,omitzero"`
	LastIMAP  time.Time `json:"last_imap,omitzero"`
	LastWeb   time.Time `json:"last_web,omitzero"`
}

func userOf(u store.User) apiUser {
	return apiUser{
		Address: u.Address, Name: u.Name, Used: u.Used, Quota: u.Quota, POP3: u.POP3.String(), Suspended: u.Suspended, Admin: u.Admin,
		Created: u.Created.UTC(), LastPOP3: u.Last.POP3.UTC(), LastIMAP: u.Last.IMAP.UTC(), LastWeb: u.Last.Web.UTC(),
	}
}

// checkPassword refuses what the store would.
func checkPassword(password string) error {
	if password == "" || len(password) > 1024 || singleLine(password) != nil { // not every mail program could send it
		return errUserField.about("password")
	}
	return nil
}

// leastPassword is how many characters a password has that a person types
// into a form. Programs and demonstrations may do with less.
const leastPassword = 8

var errPassword = &problem{http.StatusUnprocessableEntity, "error.password"}

func (v *visit) checkTyped(password string) error {
	if checkPassword(password) != nil || !v.s.Demo && utf8.RuneCountInString(password) < leastPassword {
		return errPassword
	}
	return nil
}

// maxName is the most characters of a user's name.
const maxName = 200

var errName = &problem{http.StatusUnprocessableEntity, "error.name"}

func checkName(name string) error {
	if singleLine(name) != nil || utf8.RuneCountInString(name) > maxName {
		return errName
	}
	return nil
}

func listUsers(c *call) error {
	users, err := c.s.Store.Users(c.Context())
	if err != nil {
		return err
	}
	list := []apiUser{}
	for _, u := range users {
		list = append(list, userOf(u))
	}
	return c.json(map[string]any{"users": list})
}

// theUser is the one that the path names.
func (c *call) theUser() (store.User, error) {
	u, err := c.s.Store.UserByAddress(c.Context(), c.PathValue("address"))
	if errors.Is(err, store.ErrNoSuchUser) || errors.Is(err, store.ErrBadAddress) {
		err = errNoUser
	}
	return u, err
}

func getUser(c *call) error {
	u, err := c.theUser()
	if err != nil {
		return err
	}
	return c.json(userOf(u))
}

// apiUserChange is what a user is made of, or changed to; what is absent
// stays as it is.
type apiUserChange struct {
	Address   *string `json:"address"`
	Name      *string `json:"name"`
	Password  *string `json:"password"`
	Quota     *int64  `json:"quota"`
	POP3      *string `json:"pop3"`
	Suspended *bool   `json:"suspended"`
	Admin     *bool   `json:"admin"`
}

func (a apiUserChange) change() (store.UserChange, error) {
	change := store.UserChange{Name: a.Name, Password: a.Password, Quota: a.Quota, Suspended: a.Suspended, Admin: a.Admin}
	if a.Password != nil {
		if err := checkPassword(*a.Password); err != nil {
			return change, err
		}
	}
	if a.Quota != nil && *a.Quota < 0 {
		return change, errUserField.about("quota")
	}
	if a.Name != nil && checkName(*a.Name) != nil {
		return change, errUserField.about("name")
	}
	if a.POP3 != nil {
		p, err := store.ParsePOP3Policy(*a.POP3)
		if err != nil {
			return change, errUserField.about("pop3")
		}
		change.POP3 = &p
	}
	return change, nil
}

func createUser(c *call) error {
	var a apiUserChange
	if err := c.body(maxAPIBody, &a); err != nil {
		return err
	}
	change, err := a.change()
	switch {
	case err != nil:
		return err
	case a.Address == nil:
		return errUserField.about("address")
	case a.Password == nil:
		return errUserField.about("password")
	}
	n := store.NewUser{Address: *a.Address, Password: *a.Password}
	assign(&n.Name, change.Name)
	assign(&n.Quota, change.Quota)
	assign(&n.POP3, change.POP3)
	assign(&n.Admin, change.Admin)
	u, err := c.s.Store.CreateUser(c.Context(), n)
	if err == nil && a.Suspended != nil && *a.Suspended {
		u, err = c.s.Store.UpdateUser(c.Context(), u.ID, store.UserChange{Suspended: a.Suspended})
	}
	if err != nil {
		return err
	}
	c.w.Header().Set("Location", "/api/v1/users/"+url.PathEscape(u.Address))
	return c.answer(http.StatusCreated, userOf(u))
}

func assign[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

func changeUser(c *call) error {
	u, err := c.theUser()
	if err != nil {
		return err
	}
	var a apiUserChange
	if err := c.body(maxAPIBody, &a); err != nil {
		return err
	}
	change, err := a.change()
	if err != nil {
		return err
	}
	if a.Address != nil {
		return errUserField.about("address")
	}
	if u.ID == c.user.ID && (a.Suspended != nil && *a.Suspended || a.Admin != nil && !*a.Admin) {
		return errYourself
	}
	if u, err = c.s.Store.UpdateUser(c.Context(), u.ID, change); err != nil {
		return err
	}
	return c.json(userOf(u))
}

// deleteUser removes a user with all mail, now and for good.
func deleteUser(c *call) error {
	u, err := c.theUser()
	if err != nil {
		return err
	}
	if u.ID == c.user.ID {
		return errYourself
	}
	if err := c.s.Store.DeleteUser(c.Context(), u.ID); err != nil {
		return err
	}
	return c.done()
}

type apiAlias struct {
	Address string   `json:"address"`
	Targets []string `json:"targets"`
}

func listAliases(c *call) error {
	aliases, err := c.s.Store.Aliases(c.Context())
	if err != nil {
		return err
	}
	list := []apiAlias{}
	for _, a := range aliases {
		list = append(list, apiAlias(a))
	}
	return c.json(map[string]any{"aliases": list})
}

func createAlias(c *call) error {
	var a struct {
		Address string `json:"address"`
		Target  string `json:"target"`
	}
	if err := c.body(maxAPIBody, &a); err != nil {
		return err
	}
	if err := c.addAlias(a.Address, a.Target); err != nil {
		return err
	}
	address, err := store.CanonicalAddress(a.Address)
	if err != nil {
		return err
	}
	target, err := store.CanonicalAddress(a.Target)
	if err != nil {
		return err
	}
	return c.answer(http.StatusCreated, apiAlias{address, []string{target}})
}

func removeAlias(c *call) error {
	err := c.s.Store.RemoveAlias(c.Context(), c.PathValue("address"), c.URL.Query().Get("target"))
	if errors.Is(err, store.ErrNoSuchUser) {
		return errNoUser
	}
	if err != nil {
		return err
	}
	return c.done()
}

// apiToken is a token as the API gives it; the secret only when it is made.
type apiToken struct {
	ID      store.TokenID `json:"id"`
	Name    string        `json:"name"`
	Scopes  []string      `json:"scopes"`
	Created time.Time     `json:"created"`
	Expires *time.Time    `json:"expires,omitempty"`
	Used    *time.Time    `json:"used,omitempty"`
	Token   string        `json:"token,omitempty"`
}

func tokenOf(t store.Token) apiToken {
	a := apiToken{ID: t.ID, Name: t.Name, Scopes: slices.Clone(t.Scopes), Created: t.Created.UTC()}
	if !t.Expires.IsZero() {
		a.Expires = &t.Expires
	}
	if !t.Used.IsZero() {
		a.Used = &t.Used
	}
	return a
}

func listTokens(c *call) error {
	tokens, err := c.s.Store.Tokens(c.Context(), c.user.ID)
	if err != nil {
		return err
	}
	list := []apiToken{}
	for _, t := range tokens {
		list = append(list, tokenOf(t))
	}
	return c.json(map[string]any{"tokens": list})
}

// createToken makes a token for the caller. A token cannot make one that may
// do more, nor one that lasts longer: it would outlive its own revocation.
// So it takes the password.
func createToken(c *call) error {
	var a struct {
		Name    string     `json:"name"`
		Scopes  []string   `json:"scopes"`
		Expires *time.Time `json:"expires"`
	}
	if err := c.body(maxAPIBody, &a); err != nil {
		return err
	}
	if !c.password {
		return errTokenScope
	}
	if err := c.checkScopes(a.Scopes); err != nil {
		return err
	}
	if singleLine(a.Name) != nil {
		return errParameter.about("name")
	}
	if a.Expires != nil && !a.Expires.After(c.s.Now()) {
		return errParameter.about("expires")
	}
	var expires time.Time
	assign(&expires, a.Expires)
	secret, t, err := c.s.Store.CreateToken(c.Context(), c.user.ID, a.Name, a.Scopes, expires)
	if err != nil {
		return err
	}
	made := tokenOf(t)
	made.Token = secret
	return c.answer(http.StatusCreated, made)
}

// checkScopes refuses scopes that there are not, or not for this user.
func (v *visit) checkScopes(some []string) error {
	for i, scope := range some {
		if !slices.Contains(Scopes, scope) || slices.Contains(some[:i], scope) {
			return errParameter.about("scopes")
		}
		if scope == scopeAdmin && !v.user.Admin {
			return errTokenScope
		}
	}
	if len(some) == 0 {
		return errParameter.about("scopes")
	}
	return nil
}

func removeToken(c *call) error {
	id, err := strconv.ParseInt(c.PathValue("id"), 10, 64)
	if err != nil {
		return errNoToken
	}
	if !c.password && store.TokenID(id) != c.token {
		return errTokenScope // a token may end itself, not others
	}
	gone, err := c.s.Store.RemoveToken(c.Context(), c.user.ID, store.TokenID(id))
	if err == nil && !gone {
		err = errNoToken
	}
	if err != nil {
		return err
	}
	return c.done()
}
