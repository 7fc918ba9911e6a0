#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Flags of partners: percentages that only add partners, what a partner's record
# says of them, and what requires one: locations and endpoints.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store(workers => 2);
my @names = map { "partner-$_" } 1 .. 40;
$t->partner($_, feeds => 'orders') for @names;
my %key = map { $_ => $t->partner_key($_, scopes => 'read') } 'acme', @names;
$t->default_conf(location => 'eventsync_status on;',
    server => 'location /beta/ { eventsync_flag new-order; eventsync_poll on; '
        . 'eventsync_health on; } location /other/ { eventsync_flag other; eventsync_poll on; }');
$t->run_nginx;
my $recv = $t->receiver(200);
my $endpoint = $t->endpoint('acme', url => $recv->url, feeds => 'orders', start => 'oldest',
    flag => 'hooks');
put($t, 'orders', 1);
$t->run_dispatcher;

my $beta = '/beta/feeds/orders/events';

commands();
percentages();
locations();
endpoints();
damage();

done_testing();

###############################################################################

sub get {
    my ($who, $path) = @_;
    return $t->http(GET => $path, $who ? { authorization => "Bearer $key{$who}" } : {});
}

# Those of the first ten who have the beta, asked often enough for each worker.
sub have {
    my %status = map { my $who = $_; $who => join ' ', sort keys
        %{ { map { get($who, $beta)->{status} => 1 } 1 .. 4 } } } @names[0 .. 9];
    is_deeply([ grep { $status{$_} !~ /^(?:200|404)$/ } keys %status ], [],
        'the workers agree');
    return sort grep { $status{$_} eq '200' } keys %status;
}

sub flags { return Test::Eventsync::json(get($_[0], '/v1/status')->{body})->{flags} }

###############################################################################

sub commands {
    for (qw(0% 100% 010% 5 1.5% % -1% yes), '') {
        my ($rc, $out, $err) = $t->ctl('flag', 'set', 'new-order', $_);
        isnt($rc, 0, "flag set new-order $_");
        like($err, qr/is not on, off, or 1% to 99%|NAME|argument/, 'says what it must be');
    }
    my ($rc, undef, $err) = $t->ctl(qw(flag set New on));
    isnt($rc, 0, 'a name that is none');
    like($err, qr/is not a name/, 'says so');
    for (qw(sse sse=yes sse= =on)) {
        my ($rc, undef, $err) = $t->ctl(qw(partner change acme), "--flags=$_");
        isnt($rc, 0, "--flags=$_");
        like($err, qr/is not FLAG=on/, 'says what it must be');
    }
    $t->ctl_ok(qw(flag set old on));
    is($t->ctl_ok(qw(flag list)) =~ s/ +/ /r, qq(old partners="on"\n), 'a list');
    $t->ctl_ok(qw(flag remove old));
    is($t->ctl_ok(qw(flag list)), '', 'a flag is removed');
    ($rc) = $t->ctl(qw(flag remove old));
    isnt($rc, 0, 'once');
}

# More percent take the flag from nobody.
sub percentages {
    my @before;
    for my $percent ('off', '10%', '30%', '60%', '90%', 'on') {
        $t->ctl_ok(qw(flag set new-order), $percent);
        my @now = grep { get($_, $beta)->{status} == 200 } @names;
        my %now = map { $_ => 1 } @now;
        is_deeply([ grep { !$now{$_} } @before ], [], "$percent takes it from nobody");
        my %least = (off => 0, on => 40, '60%' => 12);
        my %most = (off => 0, on => 40, '10%' => 16, '60%' => 36);
        cmp_ok(@now, '>=', $least{$percent} // 0, 'not too few have it');
        cmp_ok(@now, '<=', $most{$percent} // 40, 'nor too many');
        @before = @now;
    }
    $t->ctl_ok('flag', 'set', $_, '50%') for qw(new-order other);
    my @differ = grep { (get($_, $beta)->{status} == 200)
        != (get($_, $beta =~ s/beta/other/r)->{status} == 200) } @names;
    cmp_ok(scalar @differ, '>', 4, 'another flag has other partners');
}

# Without reload, at the next request.
sub locations {
    $t->ctl_ok(qw(flag set new-order off));
    is_deeply([ have() ], [], 'nobody has the location');
    my $missing = get('partner-1', '/beta/nothing');
    my $gated = get('partner-1', $beta);
    is($gated->{body}, $missing->{body}, 'the answer is that of no resource');
    is(get(undef, $beta)->{status}, 401, 'without a credential it is 401, as elsewhere');
    is(get(undef, '/beta/healthz')->{status}, 200, 'what needs no credential is served');
    is(get('partner-1', '/v1/feeds/orders/events')->{status}, 200, 'so are other locations');

    $t->ctl_ok(qw(flag set new-order 50%));
    my @half = have();
    $t->ctl_ok(qw(flag set new-order on));
    is_deeply([ have() ], [ sort @names[0 .. 9] ], 'all have it');
    $t->ctl_ok(qw(flag set new-order 50%));
    is_deeply([ have() ], \@half, 'the same half as before');

    my ($in) = @half;
    my ($out) = grep { my $n = $_; !grep { $_ eq $n } @half } @names[0 .. 9];
    $t->ctl_ok('partner', 'change', $in, '--flags=new-order=off,beta=on');
    $t->ctl_ok('partner', 'change', $out, '--flags=new-order=on');
    is(get($in, $beta)->{status}, 404, 'a record takes the flag');
    is(get($out, $beta)->{status}, 200, 'or gives it');
    ok(wait_for(sub { "@{ flags($in) }" eq 'other beta' || "@{ flags($in) }" eq 'beta' }, 20),
        'status has the flags that are on') or diag("@{ flags($in) }");
    $t->ctl_ok('partner', 'change', $_, '--flags=new-order=default') for $in, $out;
    is(get($in, $beta)->{status}, 200, 'or leaves it to the percentage');
    is(get($out, $beta)->{status}, 404, 'again');
    is_deeply(Test::Eventsync::json($t->ctl_ok(qw(partner show), $in))->{flags},
        { beta => JSON::PP::true() }, 'other flags of the record stay');

    # A request that waits ends like any other.
    my $call = $t->http_start(GET => "$beta?from=latest&wait=60",
        { authorization => "Bearer $key{$in}" });
    $t->waiting(1);
    $t->ctl_ok(qw(flag set new-order off));
    my $answer = $t->http_end($call);
    is($answer->{status}, 404, 'a request that waits ends with the flag');
    cmp_ok($answer->{seconds}, '<', 50, 'and not at its own end');
    $t->ctl_ok(qw(flag set new-order on));
    $t->ctl_ok(qw(flag remove new-order));
    is(get($in, $beta)->{status}, 404, 'a flag that is removed is off');
}

sub endpoints {
    my $state = sub { ($t->ctl_ok('endpoint', 'status', $endpoint) =~ /(disabled|active)/)[0] };
    is($state->(), 'disabled', 'an endpoint without its flag is disabled');
    my (undef, $why) = $t->ctl('explain', $endpoint);
    like($why, qr/acme has not the flag hooks/, 'explain says why');
    is($recv->count, 0, 'it is sent nothing');
    $t->ctl_ok(qw(flag set hooks on));
    ok(wait_for(sub { $recv->count == 1 }, 30), 'with the flag it is sent what has waited');
    is($state->(), 'active', 'and is active');
    $t->ctl_ok(qw(partner change acme --flags=hooks=off));
    ok(wait_for(sub { $state->() eq 'disabled' }, 20), 'the partner loses the flag');
    my ($rc, undef, $err) = $t->ctl('endpoint', 'change', $endpoint, '--flag=No');
    isnt($rc, 0, 'no name of a flag');
    like($err, qr/must be the name of a flag/, 'says so');
    $t->ctl_ok('endpoint', 'change', $endpoint, '--flag=');
    put($t, 'orders', 1);
    ok(wait_for(sub { $recv->count == 2 }, 30), 'an endpoint that needs none');
}

# A record that cannot be read gives the flag to nobody.
sub damage {
    $t->ctl_ok(qw(flag set new-order on));
    my $who = 'partner-1';
    is(get($who, $beta)->{status}, 200, 'a good record');
    $t->allow_errors(qr/corrupt|damaged/i);
    system($t->build . '/helper/damage', $t->store . '/registry', 'objects', 'lnew-order',
        '{"partners":"all"}') == 0 or die "no damage\n";
    my $answer = get($who, $beta);
    is($answer->{status}, 500, 'a damaged record refuses');
    is(get($who, '/v1/feeds/orders/events')->{status}, 200, 'only where a flag is needed');
    my (undef, $out) = $t->ctl('verify');
    like($out, qr/flag new-order: .*"on", "off"/, 'verify names it');
    $t->ctl_ok(qw(flag remove new-order));
    is(get($who, $beta)->{status}, 404, 'without the record it is off');
}
