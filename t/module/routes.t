#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Every route of the module's table names every step, and the steps are done:
# arguments, permission, format and limit, in this order.  The table is read
# from the source, so that a new route is tested as soon as it is there.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new;
my $source = do {
    open my $fh, "<", "ngx_module/ngx_http_eventsync_route.c" or die "$!\n";
    local $/;
    <$fh>;
};

my @columns = qw(resource args permit accept limit body parse fields answer);
my (%steps, @routes);

while ($source =~ /^static\ const\ ngx_http_eventsync_steps_t\s+
    ngx_http_eventsync_(\w+)_steps\ =\s*\{(.*?)\};/gmsx)
{
    my ($name, $text) = ($1, $2);
    my @values = map { s/^\s+|\s+$//gr } split /,/, $text;
    is(scalar @values, scalar @columns, "$name has all columns");
    @{ $steps{$name} }{@columns} = @values;
}

while ($source =~ /\{\ ngx_string\("([^"]+)"\),\ ([01]),\ NGX_HTTP_(\w+),\s+
    &ngx_http_eventsync_(\w+)_steps,\s+\w+\ \}/gx)
{
    push @routes, { pattern => $1, feed => $2, steps => $4,
        method => $3 eq 'EVENTSYNC_READ' ? 'GET' : $3 };
}

cmp_ok(scalar @routes, '>', 40, 'routes were read');
is(scalar @routes, scalar(() = $source =~ /\{ ngx_string\("\//g), 'all of them');

for my $name (sort keys %steps) {
    my $s = $steps{$name};
    like($s->{$_}, qr/^NGX_HTTP_EVENTSYNC_\U$_\E_/, "$name says its $_")
        for qw(permit accept limit body);
    like($s->{args}, qr/^NGX_HTTP_EVENTSYNC_ARGS_/, "$name says its arguments");
    like($s->{answer}, qr/^ngx_http_eventsync_\w+$/, "$name has an answer");
    ok((grep { $_->{steps} eq $name } @routes), "$name is used");
}

# Requests.

my $all = join '', map { "eventsync_$_ on;" } qw(poll publish feeds backfill
    snapshot catalogue checkpoints endpoints pages authorize openapi health
    metrics status dashboard operator);

$t->store_init;
$t->feed('orders');
$t->write_file_expand('nginx.conf', <<"CONF");
events { }
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        eventsync_store %%STORE%%;
        location /v1/ { $all eventsync_ready_dispatcher off; }
        location /poor/ { $all eventsync_limit poll rate=1r/d burst=1; }
    }
}
CONF

my $good = $t->partner_key('good', feeds => 'orders', publish => 'orders',
    scopes => 'read,publish,ack,manage,admin');
my $other = $t->partner_key('other', feeds => 'none', scopes => 'read');
my $poor = $t->partner_key('poor', feeds => 'orders', publish => 'orders',
    scopes => 'read,publish,ack,manage,admin');

$t->run_nginx;
$t->publish('orders', { id => 'o1' });

# The one that /poor/ has.
is($t->http(GET => '/poor/feeds', bearer($poor))->{status}, 200, 'used up');

for my $route (@routes) {
    my $s = $steps{ $route->{steps} };
    my ($permit) = $s->{permit} =~ /PERMIT_(\w+)/;
    my ($limit) = $s->{limit} =~ /LIMIT_(\w+)/;
    my ($accept) = $s->{accept} =~ /ACCEPT_(\w+)/;
    my @names = $route->{feed} ? ('orders', 'abc', '1') : ('abc', '1');
    @names = 'app.js' if $route->{steps} eq 'dashboard';
    my $path = $route->{pattern} =~ s/\*/shift @names/ger;
    my $name = "$route->{method} $route->{pattern}";
    my $ask = sub {
        my ($at, $key, %headers) = @_;
        return $t->http($route->{method}, $at,
            { $key ? %{ bearer($key) } : (), %headers },
            $route->{method} eq 'GET' ? () : '');
    };

    next if $permit eq 'ADDRESS';    # the token's location needs keys

    if ($s->{parse} !~ /pages|snapshot/) {
        my $answer = $ask->("/v1$path?nonsense=1");
        is($answer->{status}, 400, "$name: unknown arguments are refused");
        like($answer->{body}, qr/"parameter":"nonsense"/, "$name: by name");
    }

    my $status = $ask->("/v1$path")->{status};
    $permit eq 'ALL' ? is($status, 200, "$name: for everybody")
        : is($status, 401, "$name: a credential is needed");

    my %refused = (READ => 404, CHECKPOINT => 404, PUBLISH => 404,
        AUTHORIZE => 403, MANAGE => 403, MANAGE_READ => 403, ADMIN => 403);
    is($ask->("/v1$path", $other)->{status}, $refused{$permit},
        "$name: and the right one") if $refused{$permit};

    is($ask->("/v1$path", $good, accept => 'image/png')->{status}, 406,
        "$name: the format is negotiated") if $accept ne 'ANY';

    is($ask->("/poor$path", $poor)->{status}, 429, "$name: it is charged")
        if $limit eq 'POLL';
    isnt($ask->("/poor$path", $poor)->{status}, 429, "$name: it is free")
        if $limit eq 'FREE';

    is($t->http($route->{method}, "/v1$path", { %{ bearer($good) },
        'content-type' => 'text/plain', 'content-encoding' => 'zip' }, '{')
        ->{status}, $ask->("/v1$path", $good)->{status}, "$name: a body is ignored")
        if $route->{method} =~ /GET|DELETE/;

    my $wrong = $t->http(BREW => "/v1$path", bearer($good));
    is($wrong->{status}, 405, "$name: other methods are refused");
}

sub bearer { return { authorization => "Bearer $_[0]" } }

done_testing;
