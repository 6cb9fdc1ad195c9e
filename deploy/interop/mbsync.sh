# mbsync keeps a Maildir and the server alike, in both directions.
. "$(dirname "$0")/lib.sh"
add_user mbsync

near=$box/near
mkdir -p "$near"
cat >"$box/rc" <<RC
IMAPAccount yubin
Host localhost
Port $IMAPS
User mbsync@yubin.test
Pass mbsync-secret
SSLType IMAPS
SystemCertificates no
CertificateFile $CA
Timeout 20

IMAPStore far
Account yubin

MaildirStore near
Path $near/
Inbox $near/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
RC

sync() { mbsync -c "$box/rc" -a; }
files() { find "$near/$1/new" "$near/$1/cur" -type f | sort; }

# with_subject MAILBOX SUBJECT: the file of that mail in the Maildir
with_subject() { files "$1" | xargs grep -l "^Subject: $2" | head -n 1; }

pull() {
  for i in 1 2 3; do
    letter "$box/$i.eml" "letter $i"
    deliver mbsync "$box/$i.eml"
  done
  sync
  equal 'mails in the Maildir' "$(files INBOX | wc -l)" 3
  for i in 1 2 3; do
    sed 's/$/\r/' "$(with_subject INBOX "letter $i")" >"$box/got.eml"
    # mbsync marks what it copies with a line of its own.
    ends_with <(grep -v '^X-TUID:' "$box/got.eml") "$box/$i.eml"
  done
}
check 'new mail comes down, byte for byte' pull

folders() {
  for b in Drafts Sent Archive Junk Trash; do
    [ -d "$near/$b/cur" ]
  done
}
check 'the mailboxes every user has come down' folders

flags_up() {
  f=$(with_subject INBOX 'letter 1')
  mv "$f" "$near/INBOX/cur/$(basename "${f%%:2,*}"):2,RS"
  sync
  equal 'seen' "$(ask count mbsync INBOX SEEN)" 1
  equal 'answered' "$(ask count mbsync INBOX ANSWERED SUBJECT '"letter 1"')" 1
}
check 'flags set in the Maildir reach the server' flags_up

flags_down() {
  ask flag mbsync INBOX 2 '(\Flagged \Seen)'
  sync
  f=$(with_subject INBOX 'letter 2')
  equal 'flags in the file name' "${f##*:2,}" FS
}
check 'flags set on the server reach the Maildir' flags_down

append() {
  letter "$box/sent.eml" 'written here'
  mkdir -p "$near"/Projects/{cur,new,tmp}
  for b in Sent Projects; do
    tr -d '\r' <"$box/sent.eml" >"$near/$b/cur/1.written.here:2,S"
  done
  sync
  for b in Sent Projects; do
    equal "$b on the server" "$(ask count mbsync "$b" SEEN)" 1
    ask body mbsync "$b" 1 | grep -av '^X-TUID:' >"$box/got.eml"
    cmp "$box/got.eml" "$box/sent.eml"
  done
}
check 'a mail and a mailbox made here reach the server' append

expunge_up() {
  f=$(with_subject INBOX 'letter 3')
  rm "$f"
  sync
  equal 'mails on the server' "$(ask count mbsync INBOX ALL)" 2
  equal 'the deleted one' "$(ask count mbsync INBOX SUBJECT '"letter 3"')" 0
}
check 'a file removed is expunged on the server' expunge_up

expunge_down() {
  ask expunge mbsync INBOX 1
  sync
  equal 'mails in the Maildir' "$(files INBOX | wc -l)" 1
  [ -n "$(with_subject INBOX 'letter 2')" ]
}
check 'a mail expunged on the server leaves the Maildir' expunge_down

idle() {
  listing() { (cd "$near" && find . -path '*/cur/*' -o -path '*/new/*' | sort); }
  listing >"$box/before"
  sync
  listing | diff "$box/before" -
  equal 'mails on the server' "$(ask count mbsync INBOX ALL)" 1
  equal 'sent on the server' "$(ask count mbsync Sent ALL)" 1
}
check 'a run with nothing to do does nothing' idle

many() {
  for i in $(seq 60); do
    letter "$box/many.eml" "many $i"
    tr -d '\r' <"$box/many.eml" >"$near/Archive/new/$i.many.here"
  done
  sync
  equal 'archived on the server' "$(ask count mbsync Archive ALL)" 60
  rm -rf "$near/Archive" "$near"/Archive.*
  mkdir -p "$near"/Archive/{cur,new,tmp}
  sync
  equal 'archived here after the loss' "$(files Archive | wc -l)" 60
}
check 'sixty mails go up, and come back to a device that lost them' many

exit $failed
