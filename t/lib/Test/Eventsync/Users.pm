# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Users;

# The users of docs/operations.md, for tests that run as root: the user of
# nginx's workers, that of the dispatcher, root, an operator, and a stranger,
# who is not in the group of the store.  They are unused numbers without
# accounts.  A test may give them other groups, and add users: %ID, %GROUPS.
#
#     my $t = users_or_skip();        # a Test::Eventsync, or the test is skipped
#     users_store($t, 'name');        # created as the page says
#     my ($rc, $out, $err) = ctl_as($t, operator => {}, 'feed', 'list');
#
# The programs are copied, because the users may have no access to the build.

use warnings;
use strict;

use File::Path qw(remove_tree);
use Test::More ();
use Test::Eventsync qw(wait_for);

use parent 'Exporter';
our @EXPORT = qw(users_or_skip users_store as ctl_as nginx_as dispatcher_as
    event publish_as);

our $GROUP = 61200;
our %ID = (worker => 61201, dispatcher => 61202, operator => 61203,
    stranger => 61204, root => 0);
our %GROUPS = (worker => [$GROUP], operator => [$GROUP]);

sub users_or_skip {
    Test::More::plan(skip_all => 'only root can become other users')
        if $> != 0;
    Test::More::plan(skip_all => 'setpriv is not there')
        if system('setpriv --version >/dev/null 2>&1');

    my $t = Test::Eventsync->new;
    my $bin = $t->testdir . '/bin';
    mkdir $bin or die "$bin: $!\n";
    my @files = ($t->nginx_binary, map { $t->build . "/$_" }
        qw(eventsyncctl eventsync-dispatcher ngx_http_eventsync_module.so));
    system('cp', @files, $bin) == 0 or die "cannot copy @files\n";
    system("mv $bin/" . ($files[0] =~ s{.*/}{}r) . " $bin/nginx")
        if $files[0] !~ m{/nginx$};
    chmod 0755, glob "$bin/*";
    chown $ID{worker}, 0, $t->testdir;
    return $t;
}

# Makes a command line that runs as one of the users, with a umask that denies
# the group everything.
sub as {
    my ($who, @cmd) = @_;
    my $id = $ID{$who};
    my @groups = $GROUPS{$who}
        ? ("--regid=$id", '--groups=' . join ',', @{ $GROUPS{$who} })
        : ('--regid=' . ($who eq 'dispatcher' ? $GROUP : $id),
            '--clear-groups');
    return ('sh', '-c', 'umask 077; exec "$@"', 'sh', 'setpriv',
        "--reuid=$id", @groups, @cmd);
}

sub ctl_as {
    my ($t, $who, $opts, @args) = @_;
    my $proc = $t->start("ctl-$who", $opts, as($who,
        $t->testdir . '/bin/eventsyncctl', '--store', $t->store, @args));
    my $rc = $proc->wait(60) // $proc->stop('KILL');
    $t->forget($proc);
    return ($rc, $proc->stdout, $proc->stderr);
}

my $n = 0;
sub event {
    my $id = 'u' . ++$n;
    return qq({"specversion":"1.0","id":"$id","source":"/u","type":"t"});
}

# '', or the error.
sub publish_as {
    my ($t, $who, $feed) = @_;
    my ($rc, undef, $err) = ctl_as($t, $who, { stdin => event() . "\n" },
        'publish', $feed);
    return $rc == 0 ? '' : "exit $rc: $err";
}

# Runs the commands of the page, with a number for the name of the group.
sub users_store {
    my ($t, $name) = @_;
    $t->{store} = $t->testdir . "/store-$name";
    delete $t->{partners};
    my ($rc, undef, $err) = ctl_as($t, 'root', {}, 'init',
        '--plain-secrets');
    $rc == 0 or die "init: $err\n";
    system('chgrp', '-R', $GROUP, $t->store);
    system('find', $t->store, qw(-type d -exec chmod g+s {} +));
}

# Starts nginx with a master that has only the rights of its workers.  The
# locations are given, or have most resources.
sub nginx_as {
    my ($t, $who, $locations) = @_;
    my $dir = $t->testdir;
    $locations //= <<'CONF';
        location /v1/ {
            eventsync_feeds on;
            eventsync_poll on;
            eventsync_publish on;
            eventsync_pages on;
            eventsync_checkpoints on;
        }
        location = /ops/metrics { eventsync_metrics on; eventsync_auth off; }
        location /ops/ { eventsync_health on; }
CONF
    my $conf = $t->complete_conf(<<"CONF") =~ s/user root;//r;
load_module %%TESTDIR%%/bin/ngx_http_eventsync_module.so; # eventsync
events { }
http {
    eventsync_store %%STORE%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
$locations
    }
}
CONF
    $t->write_file('nginx.conf', $t->expand($conf));
    unlink map { "$dir/$_" } qw(error.log nginx.pid);
    remove_tree(glob "$dir/tmp_*");
    chown $ID{$who}, 0, $dir;
    $t->{nginx} = $t->start('nginx', {}, as($who, "$dir/bin/nginx", '-p',
        "$dir/", '-c', "$dir/nginx.conf", '-e', "$dir/error.log"));
    wait_for(sub { Test::Eventsync::port_open($t->port(0)) }, 20)
        or die "nginx does not listen\n" . $t->{nginx}->stderr;
}

sub dispatcher_as {
    my ($t, $who, @opts) = @_;
    return $t->{dispatcher} = $t->start('dispatcher', {}, as($who,
        $t->testdir . '/bin/eventsync-dispatcher', '--store', $t->store,
        @Test::Eventsync::DISPATCHER_OPTS, @opts));
}

1;
