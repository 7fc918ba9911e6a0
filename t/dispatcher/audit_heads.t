#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Signed heads of the audit by the dispatcher, and what it does without a good
# key.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store(workers => 1);
my $dir = $t->testdir;
mkdir "$dir/heads" or die;
is(system("openssl genpkey -algorithm ed25519 -out $dir/a.pem 2>/dev/null "
    . "&& openssl pkey -in $dir/a.pem -pubout -out $dir/a.pub "
    . "&& chmod 600 $dir/a.pem"), 0, 'a key');
my @options = ("--audit-key=$dir/a.pem", "--audit-heads=$dir/heads/now");
my @verify = (qw(audit verify --quiet), "--audit-key=$dir/a.pub");

sub metrics {
    return $t->http(GET => '/ops/metrics')->{body}
        =~ /^eventsync_audit_heads_timestamp_seconds (\S+)/m ? $1 : undef;
}

sub overdue {
    return $t->http(GET => '/ops/metrics')->{body}
        =~ /^eventsync_audit_heads_overdue_seconds (\S+)/m ? $1 + 0 : undef;
}

# Starts a dispatcher that must end at once.
sub ends {
    my ($status, $like, $name, @opts) = @_;
    my $proc = $t->start('dispatcher', {},
        $t->build . '/eventsync-dispatcher', '--store', $t->store, @opts);
    is($proc->wait(20), $status, $name) or $proc->stop('KILL');
    like($proc->stderr, $like, '... and it says why');
    $t->forget($proc);
}

ends(2, qr/--audit-key requires --audit-heads/, 'a key alone', $options[0]);
ends(2, qr/--audit-heads requires --audit-key/, 'a file alone', $options[1]);
ends(1, qr/audit key ".*none" cannot be opened: No such file/, 'no key',
    "--audit-key=$dir/none", $options[1]);
$t->write_file('bad', "no key\n");
chmod 0600, "$dir/bad";
ends(1, qr/audit key ".*bad" is not an ed25519 key in PEM/, 'a damaged key',
    "--audit-key=$dir/bad", $options[1]);
chmod 0644, "$dir/a.pem";
ends(1, qr/must be a file of mode 0600 or 0640, not 0644/,
    'a key that others can read', @options);
chmod 0600, "$dir/a.pem";
ok(!-e "$dir/heads/now", 'nothing was signed');
$t->allow_errors(qr/audit key/);

$t->default_conf;
$t->run_nginx;
is(metrics(), undef, 'no heads were signed');
$t->run_dispatcher(@options);
ok(wait_for(sub { -s "$dir/heads/now" }, 20), 'heads are signed at the start');
is(($t->ctl(@verify, "--heads=$dir/heads/now"))[0], 0, 'they are those of the store');
ok(wait_for(sub { metrics() }, 20), 'a metric says when');
is(overdue(), 0, '... and that none are overdue');
cmp_ok(abs(metrics() - time), '<', 60, '... the time');
my ($logged) = $t->{dispatcher}->stderr =~ /audit heads: (\{.*\})/;
is("$logged\n", $t->read_file('heads/now'), 'the log has them, too');

$t->ctl_ok(qw(partner create late));
is($t->stop_dispatcher, 0, 'the dispatcher ends');
my $heads = decode_json($t->read_file('heads/now'));
my ($last) = grep { $_->{object} eq 'late' } map { decode_json($_) }
    split /\n/, $t->ctl_ok(qw(audit list --json));
is($heads->{heads}{registry}{sequence}, $last->{sequence},
    'and signs once more at its end');
is(($t->ctl(@verify, "--heads=$dir/heads/now"))[0], 0, 'also good');
ok(!-e "$dir/heads/now.new", 'no other file is left');

# A key that goes while the dispatcher runs stops the heads, not the deliveries.
$t->run_dispatcher(@options);
ok(wait_for(sub { $t->{dispatcher}->stderr =~ /audit heads: / }, 20), 'again');
rename "$dir/a.pem", "$dir/b.pem";
is($t->stop_dispatcher, 0, 'without its key it ends well');
$t->allow_errors(qr/cannot sign the heads/);

# A dispatcher without the options takes the metrics away.  One that could never
# sign is overdue at once, and signs when it can.
$t->run_dispatcher;
ok(wait_for(sub { !defined metrics() }, 20), 'without the options there is no metric');
is($t->stop_dispatcher, 0, 'stop');
$t->write_file('a.pem', $t->read_file('b.pem'));
chmod 0600, "$dir/a.pem";
mkdir "$dir/heads/now.new" or die;
$t->run_dispatcher(@options);
ok(wait_for(sub { $t->{dispatcher}->stderr =~ /cannot sign the heads.*every 10 s/ }, 20),
    'something is in the way');
ok(wait_for(sub { (overdue() // 0) > 300 }, 20), 'the heads are overdue');
is(metrics() + 0, 0, '... because there never were any');
rmdir "$dir/heads/now.new" or die;
ok(wait_for(sub { $t->{dispatcher}->stderr =~ /signed again/ }, 30), 'they are signed again');
ok(wait_for(sub { overdue() == 0 }, 20), '... and are not overdue');
is($t->stop_dispatcher, 0, 'stop');

done_testing();
