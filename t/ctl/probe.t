#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# eventsyncctl probe: events go through every channel, and a channel that is
# broken is named.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Metrics;
use Test::Eventsync::Webhooks;

my $t = Test::Eventsync->new;
my $dir = $t->testdir;
my $file = "$dir/probe";
my $port = Test::Eventsync::free_port();
my ($rc, $out, $err);
$t->store_init->feed('orders');

sub setup { $t->ctl('probe', '--setup', "--state=$file", "--port=$port",
    '--url=http://127.0.0.1:' . $t->port(0) . '/v1/', @_) }
sub serve {
    my ($location) = @_;
    $t->stop_nginx('TERM') if $t->{nginx};
    $t->default_conf(location => $location);
    $t->run_nginx;
}

# The channels by name; $rc and $err are those of the run.
sub probe {
    ($rc, $out, $err) = $t->ctl('probe', "--state=$file", '--json', @_);
    return {} if !length $out;
    return { map { $_->{channel} => $_ } @{ decode_json($out)->{channels} } };
}
sub failed { my ($c) = @_; join ' ', sort grep { !$c->{$_}{ok} } keys %$c }
sub names { $t->ctl_ok(@_) =~ /eventsync-probe/ ? 1 : 0 }

###############################################################################
# setup

is((setup())[0], 0, 'a setup');
is(sprintf('%04o', (stat $file)[2] & 07777), '0600', 'its file is private');
my $state = decode_json($t->read_file('probe'));
is_deeply([@$state{qw(url feed address port)}], ['http://127.0.0.1:'
    . $t->port(0) . '/v1', 'eventsync-probe', '127.0.0.1', $port],
    'it has what a run needs');
my $partner = decode_json($t->ctl_ok('partner', 'show', 'eventsync-probe'));
is_deeply([@$partner{qw(feeds publish allow_http)}],
    [['eventsync-probe'], ['eventsync-probe'], undef],
    'the partner has its feed and no exception');
my $endpoint = decode_json($t->ctl_ok('endpoint', 'show', $state->{endpoint}));
is_deeply([@$endpoint{qw(allow_http allow_addresses feeds)}],
    [JSON::PP::true, ['127.0.0.1'], ['eventsync-probe']],
    'the endpoint has one address');
($rc, undef, $err) = setup();
is($rc, 1, 'a second setup');
like($err, qr/^eventsyncctl: "$file" exists already: [^\n]*\n\z/, 'is refused');
rename $file, "$file.kept";
($rc, undef, $err) = setup();
like($err, qr/^eventsyncctl: feed "eventsync-probe" exists already: [^\n]*\n\z/,
    'also with another file');
ok(!-e $file, 'which is not made');
rename "$file.kept", $file;
($rc, undef, $err) = $t->ctl('probe', '--setup', '--state=/nothing/x',
    '--feed=other', '--url=http://127.0.0.1/v1');
like($err, qr/^eventsyncctl: cannot make "\/nothing\/x": [^\n]*\n\z/,
    'a file that cannot be made');
is($t->ctl_ok('feed', 'list') =~ /other/ + $t->ctl_ok('partner', 'list')
    =~ /other/, 0, 'leaves nothing behind');

###############################################################################
# all channels

serve('eventsync_sse on; eventsync_checkpoints on;');
$t->run_dispatcher('--verify-endpoints=all');
my $c = probe();
is($rc, 0, 'all channels work') or diag("$out$err");
is($err, '', 'without a complaint');
is_deeply([sort keys %$c], [qw(long-poll poll publish sse webhook)],
    'there are five');
is_deeply({ map { $_->{events} => 1 } values %$c }, { 10 => 1 },
    'each has ten events');
is((grep { !($_->{min_us} > 0 && $_->{min_us} <= $_->{median_us}
    && $_->{median_us} <= $_->{p99_us} && $_->{p99_us} <= $_->{max_us}) }
    values %$c), 0, 'and timings in order');

($rc, $out, $err) = $t->ctl('probe', "--state=$file", '--channels=sse,poll',
    '--rate=1', '--for=1ms');
is($rc, 0, 'some channels');
like($out, qr/\Apublish   ok   1 of 1 events, min \d+\.\d median .* max \S+ ms
poll      ok   1 of 1 events, [^\n]*
sse       ok   1 of 1 events, [^\n]*\n\z/, 'and lines for people');

$c = probe('--rate=300', '--for=2s', '--timeout=30s');
is($rc, 0, 'at a load') or diag($err);
is_deeply({ map { $_->{events} => 1 } values %$c }, { 600 => 1 },
    'all have all of it');
my @sent = stored($t, 'eventsync-probe');
is(scalar @sent, 611, 'no event is published besides');

###############################################################################
# metrics

sub metrics {
    my $text = $t->read_file('probe.prom');
    return ($text, parse_metrics($text));
}
$t->write_file('probe.prom', 'old');
probe("--metrics=$dir/probe.prom");
my ($text, undef, @faults) = metrics();
like($text, qr/^eventsync_probe_success\{channel="webhook"\} 1$/m, 'metrics');
like($text, qr/^eventsync_probe_latency_seconds\{channel="sse",stat="p99"\}
    \ \d+\.\d+$/mx, 'of timings');
my ($at) = $text =~ /^eventsync_probe_last_run_timestamp_seconds (\S+)$/m;
ok(abs($at - time) < 60, 'and of their time');
is_deeply(\@faults, [], 'each line is well-formed');
is(sprintf('%04o', (stat "$dir/probe.prom")[2] & 07777), '0644',
    'the collector can read the file');
is_deeply([glob "$dir/probe.prom.*"], [], 'nothing else is left');

SKIP: {
    my $promtool = (grep { -x } map { "$_/promtool" } split /:/, $ENV{PATH})[0];
    skip 'promtool is not there', 1 if !defined $promtool;
    is(system("$promtool check metrics < $dir/probe.prom"), 0, 'promtool');
}

###############################################################################
# broken channels, each in turn

sub breaks {
    my ($name, $why, @args) = @_;
    $c = probe('--timeout=2s', "--metrics=$dir/probe.prom", @args);
    is($rc, 1, "$name is broken");
    is(failed($c), $name, 'and it alone') or diag("$out$err");
    like($err, qr/\A.*the channel $name failed: $why.*\n\z/,
        'one line names it');
    like((metrics())[0], qr/^eventsync_probe_success\{channel="$name"\} 0$/m,
        'and the metrics');
}

is($t->stop_dispatcher, 0, 'no dispatcher');
breaks('webhook', '0 of 10 events came within 2000 ms');
my @late = map { decode_json($_) } stored($t, 'eventsync-probe');
is(decode_json($t->ctl_ok('checkpoint', 'show', 'eventsync-probe',
    'eventsync-probe', 'probe'))->{cursor}, $late[-1]{cursor},
    'what was not delivered is acknowledged');
$t->run_dispatcher;
probe();
is($rc, 0, 'all is well when it runs again') or diag("$out$err");
$t->ctl_ok('endpoint', 'rotate', $state->{endpoint}, '--overlap=0');
breaks('webhook', 'the signature of \w+-0 is not valid');
my $busy = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port,
    Listen => 1, ReuseAddr => 1) or die "port $port: $!\n";
breaks('webhook', "cannot listen on 127\\.0\\.0\\.1:$port");
close $busy;
$t->write_file('probe', encode_json({ %$state, secret => substr($t->ctl_ok(
    'endpoint', 'rotate', $state->{endpoint}, '--overlap=0'), -51) =~ s/\s//gr }));
chmod 0600, $file;
probe();
is($rc, 0, 'with the new secret all is well') or diag("$out$err");

$t->ctl_ok('endpoint', 'simulate', $state->{endpoint}, '--failure=duplicate');
$c = probe();
ok($rc == 0 && $c->{webhook}{duplicates} > 0, 'a webhook may come again')
    or diag("$out$err");
$t->ctl_ok('endpoint', 'simulate', $state->{endpoint}, '--failure=reorder');
breaks('webhook', 'event \d+ came before event \d+');
$t->ctl_ok('endpoint', 'simulate', $state->{endpoint}, '--failure=none');

my $id = $state->{key} =~ /_([a-z2-7]+)_/ ? $1 : die;
serve('');
breaks('sse', 'nginx answered 406: .* Turn eventsync_sse on there');
serve('eventsync_sse on; if ($arg_wait = 5) { return 503; }');
breaks('long-poll', 'nginx answered 503');
serve('eventsync_sse on; if ($request_method = POST) { return 507; }');
breaks('publish', 'nginx answered 507');
serve('eventsync_sse on; if ($arg_wait = 0) { return 500; }');
$c = probe();
like($err, qr/the channel poll failed: nginx answered 500/, 'poll is broken');
$t->stop_nginx('TERM');
probe();
like($err, qr/the channel poll failed: Could(?:n't| not) connect/i, 'no nginx at all');
serve('eventsync_sse on;');
$t->ctl_ok('key', 'revoke', $id);
probe();
like($err, qr/the channel poll failed: nginx answered 401: /,
    'a key that was revoked');

###############################################################################
# the units of systemd

sub unit { Test::Eventsync::Process::slurp("ctl/units/eventsync-probe.$_[0]") }
my ($run) = unit('service') =~ m{^ExecStart=/usr/bin/eventsyncctl (.*)$}m;
my %option = map { $_->{name} => 1 } map { @{ $_->{options} } }
    grep { $_->{command} eq 'probe' }
    map { decode_json($_) } split /\n/, $t->ctl_ok('help', '--json');
is_deeply([grep { !$option{$_} } $run =~ /--([a-z-]+)/g], [],
    'the service uses options that there are');
SKIP: {
    skip 'systemd-analyze is not there', 1
        if system('systemd-analyze --version >/dev/null 2>&1') != 0;
    my $program = $t->build . '/eventsyncctl';
    $t->write_file('eventsync-probe.service',
        unit('service') =~ s{/usr/bin/eventsyncctl}{$program}r
            =~ s{User=eventsync-probe}{User=root}r
            =~ s{^Documentation.*}{}mr);
    $t->write_file('eventsync-probe.timer',
        unit('timer') =~ s{^Documentation.*}{}mr);
    my @units = map { "$dir/eventsync-probe.$_" } qw(timer service);
    is(`systemd-analyze verify @units 2>&1`, '', 'systemd takes the units');
}

###############################################################################
# mistakes, and the end

for (['"--state=FILE" is needed'], ['"--setup" needs "--url"', '--setup',
        "--state=$file"], ['"--setup" and "--cleanup"', '--setup', '--cleanup'],
    ['"--rate=0" is not a number', "--state=$file", '--rate=0'],
    ['"--for=x" is not a time', "--state=$file", '--for=x'],
    ['"--channels": "smoke" is none of', "--state=$file", '--channels=smoke'])
{
    my ($line, @args) = @$_;
    ($rc, undef, $err) = $t->ctl('probe', @args);
    is($rc, 2, "refused: @args");
    like($err, qr/\Aeventsyncctl: \Q$line\E[^\n]*\n\z/, 'in one line');
}
$t->write_file('wrong', '{}');
chmod 0600, "$dir/wrong";
for ([qr/is not a file of "probe --setup"/, 'wrong'], [qr/no-such/, 'no-such'])
{
    my ($line, $name) = @$_;
    ($rc, undef, $err) = $t->ctl('probe', "--state=$dir/$name");
    is($rc, 1, "the file: $name");
    like($err, qr/\Aeventsyncctl: .*$line.*\n\z/, 'in one line');
}
chmod 0644, $file;
like(($t->ctl('probe', "--state=$file"))[2], qr/^eventsyncctl: file of --state /,
    'a file that all can read is refused');

($rc, undef, $err) = $t->ctl('probe', '--cleanup', '--feed=orders');
is($rc, 1, 'no feed of others is removed');
like($err, qr/\Aeventsyncctl: there is no partner "orders" that [^\n]*\n\z/,
    'in one line');
is(($t->ctl('probe', '--cleanup', "--state=$file"))[0], 0, 'a cleanup');
is(names('feed', 'list') + names('partner', 'list') + names('key', 'list')
    + names('endpoint', 'list'), 0, 'removes all records');
ok(!-e $file, 'and the file');
is(($t->ctl('probe', '--cleanup'))[0], 1, 'a second one has nothing to remove');
is((setup())[0], 0, 'a setup is possible again');
$t->stop_dispatcher;

done_testing();
